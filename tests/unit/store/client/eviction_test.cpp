// SPDX-License-Identifier: Apache-2.0
// Puts into a pool that is full.
#include <atomic>

#include "directory.h"
#include "nodes.h"

namespace mooncake::test {
namespace {

constexpr size_t kSize = 500000;

class EvictionTest : public StoreTest {
 protected:
    static std::string key(const std::string& prefix, int i) { return prefix + std::to_string(i); }
    // @return how many were not stored
    static int flood(Client& client, const std::string& prefix, int count, size_t size = kSize) {
        int failed = 0;
        for (int i = 0; i < count; ++i) {
            failed += put(client, key(prefix, i), size) != ErrorCode::OK;
        }
        return failed;
    }
    static int readable(Client& client, const std::string& prefix, int count, size_t size = kSize) {
        int found = 0;
        for (int i = 0; i < count; ++i) {
            const ErrorCode code = get(client, key(prefix, i), size);
            EXPECT_TRUE(code == ErrorCode::OK || code == ErrorCode::OBJECT_NOT_FOUND) << code;
            found += code == ErrorCode::OK;
        }
        return found;
    }
};

TEST_F(EvictionTest, AFullPoolTakesEveryPut) {
    const auto one = nodeWithFile("one", 8);
    const auto two = node("two");
    ASSERT_TRUE(knowsFiles(*two, 1));
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back(
            [&, t] { failed += flood(t % 2 == 0 ? *one : *two, std::to_string(t) + "/", 60); });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(failed, 0) << Client::LastError();
    int found = 0, found_by_two = 0;
    for (int t = 0; t < 4; ++t) {
        found += readable(*one, std::to_string(t) + "/", 60);
        // As long as nobody has written over it, one that remembers where an object was reads it.
        found_by_two += readable(*two, std::to_string(t) + "/", 60);
    }
    for (const int each : {found, found_by_two}) {
        EXPECT_GE(each, 8);
        EXPECT_LE(each, 64);
    }
    // What is put last is there.
    for (const auto& client : {one, two}) {
        EXPECT_EQ(put(*client, "last", kSize), ErrorCode::OK);
        EXPECT_EQ(get(*one, "last", kSize), ErrorCode::OK);
    }
    const auto a = one->Statistics(), b = two->Statistics();
    EXPECT_GT(a.regions_evicted + b.regions_evicted, 0u);
    EXPECT_GT(a.objects_evicted + b.objects_evicted, 0u);
    EXPECT_EQ(a.checksum_failures + b.checksum_failures, 0u);
    EXPECT_EQ(a.put_failures + b.put_failures, 0u);
}

// Who mounts nothing makes room by itself, and no more than it needs.
TEST_F(EvictionTest, APutWaitsForOneEvictionAtMost) {
    const auto one = nodeWithFile("one", 8);
    const auto two = node("two");
    ASSERT_TRUE(knowsFiles(*two, 1));
    int i = 0;
    ASSERT_TRUE(eventually([&] {
        const auto before = two->Statistics();
        EXPECT_EQ(put(*two, key("key", i++), kSize), ErrorCode::OK) << Client::LastError();
        const auto after = two->Statistics();
        EXPECT_LE(after.put_waits, before.put_waits + 1) << i;
        EXPECT_LE(after.regions_evicted, before.regions_evicted + 1) << i;
        return after.regions_evicted >= 5;
    }));
    EXPECT_EQ(two->Statistics().put_failures, 0u);
}

// Who remembers where an object was reads other bytes there, and sees that they are others.
TEST_F(EvictionTest, AStaleEntryIsAMiss) {
    const auto one = nodeWithFile("one", 8);
    const auto reader = node("reader");
    ASSERT_TRUE(knowsFiles(*reader, 1));
    ASSERT_EQ(put(*one, "old", kSize), ErrorCode::OK);
    ASSERT_EQ(get(*reader, "old", kSize), ErrorCode::OK);
    ASSERT_EQ(flood(*one, "new", 200), 0) << Client::LastError();
    // The directory does not grow with what was evicted.
    EXPECT_FALSE(exists(*one, "old"));
    EXPECT_EQ(get(*reader, "old", kSize), ErrorCode::OBJECT_NOT_FOUND);
    const auto numbers = reader->Statistics();
    EXPECT_EQ(numbers.misses_evicted, 1u);
    EXPECT_EQ(numbers.cache_hits, 1u);
    EXPECT_EQ(numbers.checksum_failures, 0u);
    // The same key, put again, is another object.
    ASSERT_EQ(put(*one, "old", kSize + 1), ErrorCode::OK);
    EXPECT_EQ(get(*reader, "old", kSize + 1), ErrorCode::OK);
}

// So that puts need not wait.
TEST_F(EvictionTest, SomeRegionsAreKeptClean) {
    const auto one = nodeWithFile("one", 48);
    const auto limit = [] { return std::chrono::steady_clock::now() + kForever; };
    const auto look = store::Directory::open(directory, {}, limit());
    ASSERT_TRUE(look);
    const auto two = node("two");
    ASSERT_TRUE(knowsFiles(*two, 1));
    // Of who evicts only what it needs at the moment.
    for (int i = 0; one->Statistics().regions_evicted + two->Statistics().regions_evicted == 0;
         ++i) {
        ASSERT_EQ(put(*two, key("key", i), kSize), ErrorCode::OK);
    }
    EXPECT_TRUE(eventually([&] { return (*look)->usage(1, limit())->clean >= 3; }));
}

// Whoever began to clean a region is gone: the one who mounts the file goes on.
TEST_F(EvictionTest, ACleaningThatWasBrokenOffIsFinished) {
    const auto one = nodeWithFile("one", 8);
    ASSERT_EQ(flood(*one, "key", 20), 0);
    const auto limit = [] { return std::chrono::steady_clock::now() + kForever; };
    const auto other = store::Directory::open(directory, {}, limit());
    ASSERT_TRUE(other && (*other)->join("other", limit()));
    const auto region = one->Query("key0")->replicas.at(0).extents.at(0);
    ASSERT_TRUE(eventually([&] {
        return (*other)->beginClean({1, region.region}, region.generation, limit()).has_value();
    }));
    EXPECT_TRUE(exists(*one, "key0")) << "its entries are there still";
    ASSERT_TRUE((*other)->leave(limit()));
    ASSERT_TRUE(eventually([&] {
        const auto regions = (*other)->regions(1, limit());
        for (const auto& each : *regions) {
            if (each.id.index != region.region) continue;
            return each.state != store::RegionState::kCleaning &&
                   each.generation == region.generation + 1;
        }
        return false;
    }));
    EXPECT_FALSE(exists(*one, "key0"));
    EXPECT_EQ(get(*one, "key0", kSize), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(get(*one, "key19", kSize), ErrorCode::OK);
    EXPECT_EQ(flood(*one, "more", 60), 0);
}

// Its last bytes may be on their way still.
TEST_F(EvictionTest, ARegionOfOneThatIsGoneIsLeftAloneForAWhile) {
    ClientOptions options = nodeOptions(directory, "one");
    options.io_bound = std::chrono::hours(1);
    const auto one = join(options);
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    auto two = node("two");
    ASSERT_TRUE(knowsFiles(*two, 1));
    ASSERT_EQ(put(*two, "of two", kSize), ErrorCode::OK);
    const auto region = one->Query("of two")->replicas.at(0).extents.at(0);
    const auto limit = [] { return std::chrono::steady_clock::now() + kForever; };
    const auto look = store::Directory::open(directory, {}, limit());
    const auto clients = (*look)->clients(limit());
    for (const auto& client : *clients) {
        if (client.node == "two") endLease(directory, client.id);
    }
    // All else is evicted, again and again.
    int i = 0;
    ASSERT_TRUE(eventually([&] {
        EXPECT_EQ(put(*one, key("key", i++), kSize), ErrorCode::OK) << Client::LastError();
        return one->Statistics().regions_evicted >= 20;
    }));
    EXPECT_EQ(get(*one, "of two", kSize), ErrorCode::OK);
    EXPECT_EQ(one->Query("of two")->replicas.at(0).extents.at(0).generation, region.generation);
    EXPECT_EQ(one->Statistics().regions_sealed, 0u);
}

TEST_F(EvictionTest, WhatWasReadLateStaysLonger) {
    ClientOptions options = nodeOptions(directory, "one");
    options.touch_interval = std::chrono::milliseconds(1);
    const auto one = join(options);
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    const auto limit = [] { return std::chrono::steady_clock::now() + kForever; };
    const auto look = store::Directory::open(directory, {}, limit());
    ASSERT_TRUE(look);
    ASSERT_EQ(flood(*one, "read", 8), 0);
    ASSERT_EQ(flood(*one, "unread", 8), 0);
    const auto region = one->Query("read0")->replicas.at(0).extents.at(0).region;
    // What is full is sealed, and after that the directory has heard that it was read.
    const auto isNewest = [&] {
        const auto regions = (*look)->regions(1, limit());
        uint64_t newest = 0, of_it = 0;
        int open = 0;
        for (const auto& each : *regions) {
            open += each.state == store::RegionState::kOpen;
            if (each.state == store::RegionState::kSealed) {
                newest = std::max(newest, each.last_used);
            }
            if (each.id.index == region) of_it = each.last_used;
        }
        return open <= 1 && of_it == newest;
    };
    for (int round = 0; round < 12; ++round) {
        ASSERT_EQ(flood(*one, "round" + std::to_string(round) + "/", 8), 0);
        ASSERT_EQ(get(*one, "read0", kSize), ErrorCode::OK) << round;
        ASSERT_TRUE(eventually([&] {
            (void)get(*one, "read0", kSize);
            return isNewest();
        }));
    }
    EXPECT_EQ(get(*one, "unread0", kSize), ErrorCode::OBJECT_NOT_FOUND);
}

TEST_F(EvictionTest, HardPinsStayAndSoftPinsGoLast) {
    const auto one = nodeWithFile("one", 16);
    ReplicateConfig hard, soft;
    hard.with_hard_pin = true;
    soft.with_soft_pin = true;
    // More than a region of each, so that one of each is sealed.
    for (int i = 0; i < 12; ++i) {
        ASSERT_EQ(put(*one, key("hard", i), kSize, hard), ErrorCode::OK);
        ASSERT_EQ(put(*one, key("soft", i), kSize, soft), ErrorCode::OK);
    }
    ASSERT_EQ(flood(*one, "a", 200), 0);
    EXPECT_EQ(readable(*one, "hard", 12), 12);
    EXPECT_EQ(readable(*one, "soft", 12), 12);
    EXPECT_LT(readable(*one, "a", 200), 120);
    // With nothing else left, they make room.
    for (int i = 12; i < 200; ++i) {
        ASSERT_EQ(put(*one, key("soft", i), kSize, soft), ErrorCode::OK) << i;
    }
    EXPECT_EQ(get(*one, "soft0", kSize), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(readable(*one, "hard", 12), 12);
}

// A few of them do not keep a region.
TEST_F(EvictionTest, PinnedObjectsMoveOutOfTheWay) {
    ReplicateConfig hard;
    hard.with_hard_pin = true;
    std::string path = folder.file("one", 33 * kMiB);
    {
        const auto first = node("first");
        ASSERT_EQ(mount(*first, path), ErrorCode::OK);
        ASSERT_EQ(put(*first, "pinned", 100000, hard), ErrorCode::OK);
        ASSERT_EQ(put(*first, "pinned too", 5000, hard), ErrorCode::OK);
    }
    const auto one = node();
    ASSERT_EQ(mount(*one, path), ErrorCode::OK);
    const auto before = one->Query("pinned")->replicas.at(0).extents.at(0);
    int round = 0;
    ASSERT_TRUE(eventually([&] {
        EXPECT_EQ(flood(*one, std::to_string(++round) + "/", 20), 0) << Client::LastError();
        return one->Statistics().objects_moved >= 2;
    }));
    const auto after = one->Query("pinned")->replicas.at(0).extents.at(0);
    EXPECT_NE(std::make_pair(before.region, before.generation),
              std::make_pair(after.region, after.generation));
    EXPECT_EQ(get(*one, "pinned", 100000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "pinned too", 5000), ErrorCode::OK);
    EXPECT_TRUE(contents(path, placeOf(after), 100000) == contentOf("pinned", 100000));
}

TEST_F(EvictionTest, APoolThatIsFullOfPinsSaysSo) {
    const auto one = nodeWithFile("one", 4);
    ReplicateConfig hard;
    hard.with_hard_pin = true;
    ErrorCode last = ErrorCode::OK;
    for (int i = 0; i < 40 && last == ErrorCode::OK; ++i) {
        last = put(*one, key("hard", i), kSize, hard);
    }
    EXPECT_EQ(last, ErrorCode::NO_AVAILABLE_HANDLE);
    EXPECT_THAT(Client::LastError(), ::testing::HasSubstr("pinned"));
    EXPECT_EQ(get(*one, "hard0", kSize), ErrorCode::OK);
    EXPECT_GT(one->RemoveAll().value(), 10);
    EXPECT_EQ(flood(*one, "a", 60), 0);
}

// Of an object that is larger than a region, and of a batch that is larger than the pool.
TEST_F(EvictionTest, LargeThingsMakeRoomToo) {
    const auto one = nodeWithFile("one", 8);
    for (int i = 0; i < 6; ++i) {
        ASSERT_EQ(put(*one, key("large", i), 11 * kMiB), ErrorCode::OK) << Client::LastError();
        EXPECT_EQ(get(*one, key("large", i), 11 * kMiB), ErrorCode::OK);
    }
    std::vector<std::string> keys, memory;
    std::vector<std::vector<Slice>> slices;
    for (int i = 0; i < 64; ++i) {
        keys.push_back(key("batch", i));
        memory.push_back(contentOf(keys.back(), kMiB));
    }
    for (auto& bytes : memory) slices.push_back({{bytes.data(), bytes.size()}});
    for (const auto& result : one->BatchPut(keys, slices, {})) {
        EXPECT_TRUE(result) << result.error() << Client::LastError();
    }
    EXPECT_EQ(get(*one, "batch63", kMiB), ErrorCode::OK);
    EXPECT_EQ(put(*one, "larger than all", 40 * kMiB), ErrorCode::NO_AVAILABLE_HANDLE);
    // Nothing went for what could not be stored anyway.
    EXPECT_EQ(get(*one, "batch63", kMiB), ErrorCode::OK);
    EXPECT_EQ(put(*one, "after it", kMiB), ErrorCode::OK);
}

}  // namespace
}  // namespace mooncake::test
