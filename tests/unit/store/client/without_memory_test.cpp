// SPDX-License-Identifier: Apache-2.0
// One allocation fails, each in turn: the call ends with an error, and nothing stays behind.
#include <cstdlib>
#include <filesystem>
#include <new>
#include <regex>

#include "directory.h"
#include "directory_stub.h"
#include "entry_cache.h"
#include "nodes.h"
#include "open_regions.h"

namespace {

// Of this thread: how many succeed before one does not; less than none: all do.
thread_local long allocations_left = -1;
thread_local bool has_refused = false;

}  // namespace

void* operator new(size_t size) {
    if (allocations_left >= 0 && allocations_left-- == 0) {
        has_refused = true;
        throw std::bad_alloc();
    }
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    try {
        return operator new(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace mooncake::test {
namespace {

constexpr size_t kSize = 20000;

// Calls what(number, refuse) until it needs fewer allocations than that; within refuse(call) the
// one of that number fails.
template <class What>
void withEachRefused(const What& what) {
    bool is_last = false;
    for (long number = 0; !is_last && !testing::Test::HasFatalFailure(); ++number) {
        SCOPED_TRACE("allocation " + std::to_string(number) + " fails");
        ASSERT_LT(number, 100000);
        what(number, [&](const auto& call) {
            has_refused = false;
            allocations_left = number;
            call();
            allocations_left = -1;
            is_last = !has_refused;
        });
    }
}

class WithoutMemoryTest : public StoreTest {
 protected:
    // What a client has on its way, of all files.
    static uint64_t inFlight(Client& client) {
        std::string text;
        EXPECT_TRUE(client.SerializeMetrics(text));
        static const std::regex line("file_in_flight_bytes\\{[^}]*\\} (\\d+)");
        uint64_t all = 0;
        int files = 0;
        for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) {
            all += std::stoull((*at)[1]);
            ++files;
        }
        EXPECT_GT(files, 0);
        return all;
    }
    size_t openRegions() const {
        const auto limit = std::chrono::steady_clock::now() + kForever;
        const auto look = store::Directory::open(directory, {}, limit);
        size_t open = 0;
        const auto files = (*look)->files(limit);
        for (const auto& file : *files) open += (*look)->usage(file.number, limit)->open;
        return open;
    }
};

TEST_F(WithoutMemoryTest, APutLeavesNothingBehind) {
    const auto one = nodeWithFile("one", 16);
    const auto two = nodeWithFile("two", 16);
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig config;
    config.replica_num = 2;
    withEachRefused([&](long number, const auto& refuse) {
        const std::string key = "key" + std::to_string(number);
        std::string bytes = contentOf(key, kSize);
        std::vector<Slice> slices{{bytes.data(), bytes.size()}};
        refuse([&] { (void)one->Put(key, slices, config); });
        ASSERT_EQ(put(*one, key, kSize, config), ErrorCode::OK) << Client::LastError();
        ASSERT_EQ(get(*one, key, kSize), ErrorCode::OK);
    });
    EXPECT_EQ(inFlight(*one), 0u);
    // What was retired is sealed soon.
    EXPECT_TRUE(eventually([&] { return openRegions() <= 2; })) << openRegions();
}

TEST_F(WithoutMemoryTest, AGetLeavesNothingBehind) {
    const auto one = nodeWithFile("one", 16);
    const auto two = node("two");
    ASSERT_TRUE(knowsFiles(*two, 1));
    ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    ASSERT_EQ(put(*one, "damaged", kSize), ErrorCode::OK);
    std::string bytes(kSize, '?');
    std::vector<Slice> slices{{bytes.data(), bytes.size()}};
    for (const auto& client : {one, two}) {
        withEachRefused([&](long, const auto& refuse) {
            refuse([&] { (void)client->Get("key", slices); });
            ASSERT_EQ(get(*client, "key", kSize), ErrorCode::OK);
        });
        EXPECT_EQ(inFlight(*client), 0u);
    }
    const auto extent = one->Query("damaged")->replicas.at(0).extents.at(0);
    flip(fileOf("one"), placeOf(extent));
    withEachRefused([&](long, const auto& refuse) {
        refuse([&] { EXPECT_FALSE(one->Get("damaged", slices)); });
    });
    EXPECT_EQ(inFlight(*one), 0u);
    EXPECT_EQ(get(*one, "damaged", kSize), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK);
}

// What the directory has removed is not found any more, whoever remembers it.
TEST_F(WithoutMemoryTest, WhatIsRemovedIsForgotten) {
    const auto one = nodeWithFile("one", 16);
    const std::vector<std::function<void()>> ways{[&] { (void)one->Remove("key"); },
                                                  [&] { (void)one->RemoveByRegex("k"); },
                                                  [&] { (void)one->RemoveAll(); }};
    for (const auto& remove : ways) {
        int removed = 0;
        withEachRefused([&](long, const auto& refuse) {
            ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK) << Client::LastError();
            ASSERT_EQ(get(*one, "key", kSize), ErrorCode::OK);
            refuse([&] {
                try {
                    remove();
                } catch (const std::bad_alloc&) {
                }
            });
            if (exists(*one, "key")) return;
            ++removed;
            ASSERT_EQ(get(*one, "key", kSize), ErrorCode::OBJECT_NOT_FOUND);
        });
        EXPECT_GT(removed, 0);
    }
}

TEST_F(WithoutMemoryTest, AFileCanBeMountedAfterwards) {
    const auto one = node();
    const auto other = node("other");
    const std::string path = folder.file("one", 33 * kMiB);
    withEachRefused([&](long, const auto& refuse) {
        refuse([&] { (void)one->MountFileSegment(path); });
        const ErrorCode code = mount(*one, path);
        ASSERT_TRUE(code == ErrorCode::OK ||
                    Client::LastError().find("by this client already") != std::string::npos)
            << Client::LastError();
        ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
        ASSERT_EQ(get(*one, "key", kSize), ErrorCode::OK);
        ASSERT_TRUE(one->UnmountFileSegment(path));
    });
    EXPECT_EQ(mount(*other, path), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*other, "key", kSize), ErrorCode::OK);
}

TEST_F(WithoutMemoryTest, AFileCanBeMountedElsewhereAfterItsUnmount) {
    const auto one = node();
    const auto other = node("other");
    const std::string path = folder.file("one", 33 * kMiB);
    withEachRefused([&](long, const auto& refuse) {
        ASSERT_EQ(mount(*one, path), ErrorCode::OK) << Client::LastError();
        ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
        refuse([&] { (void)one->UnmountFileSegment(path); });
        (void)one->UnmountFileSegment(path);
        // The directory hears of it soon.
        ASSERT_TRUE(eventually([&] { return mount(*other, path) == ErrorCode::OK; }));
        ASSERT_EQ(get(*other, "key", kSize), ErrorCode::OK);
        ASSERT_TRUE(other->UnmountFileSegment(path));
    });
}

}  // namespace
}  // namespace mooncake::test

namespace mooncake::store {
namespace {

TEST(OpenRegionsWithoutMemoryTest, NoRegionStaysOpenThatNobodyHas) {
    DirectoryStub directory;
    ClientCounters counters;
    OpenRegions regions(directory, counters, [] {});
    const KnownFile file = directory.addKnownFile();
    mooncake::test::withEachRefused([&](long, const auto& refuse) {
        refuse([&] {
            try {
                (void)regions.use(file, 0, DirectoryStub::soon());
            } catch (const std::bad_alloc&) {
            }
        });
        regions.sealAll(0, DirectoryStub::soon());
        const auto use = directory.usage(file.info.number, DirectoryStub::soon());
        ASSERT_TRUE(use);
        ASSERT_EQ(use->open, 0u);
        // The next one finds room.
        const auto all = directory.regions(file.info.number, DirectoryStub::soon());
        for (const Region& region : *all) {
            if (region.state != RegionState::kSealed) continue;
            const auto begun =
                directory.beginClean(region.id, region.generation, DirectoryStub::soon());
            ASSERT_TRUE(begun &&
                        directory.endClean(region.id, begun->generation, DirectoryStub::soon()));
        }
    });
}

// However many there are: what the directory has removed must not be found here for want of memory.
TEST(EntryCacheWithoutMemoryTest, DroppingTakesNone) {
    EntryCache cache(10000);
    std::vector<std::string> keys;
    for (int i = 0; i < 1000; ++i) keys.push_back("key" + std::to_string(i));
    for (const auto& key : keys) cache.put(key, std::make_shared<ObjectEntry>(), cache.mark());
    for (const auto& key : keys) {
        has_refused = false;
        allocations_left = 0;
        try {
            cache.drop(key);
        } catch (const std::bad_alloc&) {
        }
        allocations_left = -1;
        ASSERT_FALSE(has_refused) << key;
        ASSERT_EQ(cache.find(key), nullptr);
    }
}

}  // namespace
}  // namespace mooncake::store
