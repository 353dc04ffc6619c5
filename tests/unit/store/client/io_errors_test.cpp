// SPDX-License-Identifier: Apache-2.0
// I/O that fails, lies and hangs, on a transport that does so on request.
#include <xxhash.h>

#include <future>
#include <map>
#include <set>

#include "directory.h"
#include "memory_transport/memory_transport.h"
#include "nodes.h"
#include "region_fill.h"
#include "region_run.h"
#include "transfer_engine.h"

namespace mooncake::test {
namespace {

using test_support::MemoryTransportControl;
using test_support::TransferFault;
using Request = MemoryTransportControl::Request;

constexpr size_t kRegion = 4 * kMiB;

class IoErrorsTest : public StoreTest {
 protected:
    IoErrorsTest() {
        setenv("MC_TRANSPORT_PLUGIN_PATH", MEMORY_TRANSPORT_FOLDER, 1);
        control_.fault = [this](const Request& request, const std::string& path) {
            const std::lock_guard lock(mutex_);
            return fault_(request, path);
        };
    }
    ~IoErrorsTest() override { setenv("MC_TRANSPORT_PLUGIN_PATH", LOCAL_TRANSPORT_PLUGIN, 1); }

    std::shared_ptr<Client> start(const std::string& name, std::chrono::milliseconds timeout) {
        ClientOptions options = nodeOptions(directory, name);
        options.timeout = timeout;
        options.io_bound = std::chrono::milliseconds(1);
        options.engine = std::make_shared<TransferEngine>();
        EXPECT_EQ(options.engine->init("P2PHANDSHAKE", "127.0.0.1:0"), 0);
        void* args[] = {&control_};
        EXPECT_NE(options.engine->installTransport("memory", args), nullptr);
        auto client = join(options);
        EXPECT_EQ(mount(*client, folder.file(name, kMiB + 8 * kRegion)), ErrorCode::OK);
        // The transport's files are memory; the superblock was written to the disk.
        const std::string header = contents(fileOf(name), 0, kMiB);
        std::memcpy(control_.file(fileOf(name))->data(), header.data(), header.size());
        return client;
    }
    using Fault = std::function<TransferFault(const Request&, const std::string& path)>;
    void setFault(Fault fault) {
        const std::lock_guard lock(mutex_);
        fault_ = std::move(fault);
    }
    void heal() {
        setFault([](const Request&, const std::string&) { return TransferFault::kNone; });
    }
    Fault on(const std::string& node, Request::OpCode op, TransferFault fault) {
        return [path = fileOf(node), op, fault](const Request& request, const std::string& at) {
            return at == path && request.opcode == op ? fault : TransferFault::kNone;
        };
    }
    // In the upper half of a region there are pages of its table alone, while it is hardly filled.
    static bool isPage(const Request& request) {
        return request.target_offset >= kMiB &&
               (request.target_offset - kMiB) % kRegion >= kRegion / 2;
    }
    static Fault onTablesOf(const std::set<uint32_t>& regions) {
        return [regions](const Request& request, const std::string&) {
            return request.opcode == Request::READ && isPage(request) &&
                           regions.contains(
                               static_cast<uint32_t>((request.target_offset - kMiB) / kRegion))
                       ? TransferFault::kFail
                       : TransferFault::kNone;
        };
    }
    // As if the node had been silent for too long.
    void endLeaseOf(const std::string& node) const {
        const auto limit = std::chrono::steady_clock::now() + kForever;
        const auto look = store::Directory::open(directory, {}, limit);
        const auto clients = (*look)->clients(limit);
        for (const auto& client : *clients) {
            if (client.node == node) endLease(directory, client.id);
        }
    }

    MemoryTransportControl control_;
    std::mutex mutex_;
    Fault fault_ = [](const Request&, const std::string&) { return TransferFault::kNone; };
};

TEST_F(IoErrorsTest, WhatOneNodeDoesNotTakeGoesToAnother) {
    const auto one = start("one", kForever);
    const auto two = start("two", kForever);
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig config;
    config.preferred_segment = "one";
    for (const TransferFault fault : {TransferFault::kFail, TransferFault::kTear}) {
        const auto before = one->Statistics();
        setFault(on("one", Request::WRITE, fault));
        const std::string key = "key" + std::to_string(static_cast<int>(fault));
        ASSERT_EQ(put(*one, key, 300000, config), ErrorCode::OK) << Client::LastError();
        heal();
        EXPECT_EQ(get(*one, key, 300000), ErrorCode::OK);
        EXPECT_EQ(one->Query(key)->replicas.at(0).segment, two->GetTransportEndpoint());
        EXPECT_EQ(one->Statistics().retried_puts, before.retried_puts + 1);
    }
    // Of two copies one is enough.
    config.replica_num = 2;
    setFault(on("one", Request::WRITE, TransferFault::kFail));
    ASSERT_EQ(put(*one, "both", 300000, config), ErrorCode::OK);
    heal();
    EXPECT_EQ(one->Query("both")->replicas.size(), 1u);
    EXPECT_EQ(get(*one, "both", 300000), ErrorCode::OK);
}

// An object whose page is not down would not be found by whoever evicts its region.
TEST_F(IoErrorsTest, AnObjectWithoutItsPageIsNotCommitted) {
    const auto one = start("one", kForever);
    setFault([](const Request& request, const std::string&) {
        return request.opcode == Request::WRITE && isPage(request) ? TransferFault::kFail
                                                                   : TransferFault::kNone;
    });
    EXPECT_EQ(put(*one, "key", 5000), ErrorCode::WRITE_FAIL);
    EXPECT_FALSE(exists(*one, "key"));
    EXPECT_EQ(one->Statistics().put_failures, 1u);
    heal();
    EXPECT_EQ(put(*one, "key", 5000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key", 5000), ErrorCode::OK);
}

TEST_F(IoErrorsTest, ACopyThatCannotBeReadIsLeftOut) {
    const auto one = start("one", kForever);
    const auto two = start("two", kForever);
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig both, mine;
    both.replica_num = 2;
    mine.preferred_segment = "one";
    ASSERT_EQ(put(*one, "both", 300000, both), ErrorCode::OK);
    ASSERT_EQ(put(*one, "mine", 300000, mine), ErrorCode::OK);
    setFault(on("one", Request::READ, TransferFault::kFail));
    EXPECT_EQ(get(*one, "both", 300000), ErrorCode::OK);
    EXPECT_EQ(one->Statistics().failovers, 1u);
    EXPECT_EQ(get(*one, "mine", 300000), ErrorCode::TRANSFER_FAIL);
    EXPECT_EQ(one->Statistics().misses_unreachable, 1u);
    heal();
    // Nothing was taken out because of that.
    EXPECT_EQ(get(*one, "mine", 300000), ErrorCode::OK);
    EXPECT_EQ(one->Query("both")->replicas.size(), 2u);
}

// What lies in regions of which the tables cannot be read stays; all else makes room.
TEST_F(IoErrorsTest, ABadPlaceInATableKeepsNoOtherRegion) {
    const auto one = start("one", kForever);
    std::set<uint32_t> regions;
    for (int i = 0; i < 24; ++i) {
        const std::string key = "first" + std::to_string(i);
        ASSERT_EQ(put(*one, key, 500000), ErrorCode::OK);
        regions.insert(one->Query(key)->replicas.at(0).extents.at(0).region);
    }
    EXPECT_GE(regions.size(), 3u);
    setFault(onTablesOf(regions));
    for (int i = 0; i < 120; ++i) {
        ASSERT_EQ(put(*one, "key" + std::to_string(i), 500000), ErrorCode::OK) << i;
    }
    EXPECT_GT(one->Statistics().regions_evicted, 5u);
    heal();
    EXPECT_EQ(get(*one, "first0", 500000), ErrorCode::OK);
}

// It cannot be sealed, and all else makes room.
TEST_F(IoErrorsTest, ABadPlaceInTheTableOfAClientThatIsGoneKeepsNoOtherRegion) {
    const auto one = start("one", kForever);
    const auto two = start("two", kForever);
    ASSERT_TRUE(knowsFiles(*two, 2));
    ReplicateConfig config;
    config.preferred_segment = "one";
    ASSERT_EQ(put(*two, "first", 500000, config), ErrorCode::OK);
    const auto copy = two->Query("first")->replicas.at(0);
    ASSERT_EQ(copy.segment, one->GetTransportEndpoint());
    setFault(onTablesOf({copy.extents.at(0).region}));
    endLeaseOf("two");
    for (int i = 0; i < 120; ++i) {
        ASSERT_EQ(put(*one, "key" + std::to_string(i), 500000, config), ErrorCode::OK) << i;
    }
    EXPECT_GT(one->Statistics().regions_evicted, 5u);
    heal();
    EXPECT_EQ(get(*one, "first", 500000), ErrorCode::OK);
}

// Whoever evicts a region finds there no key whose page of the table is lost, and leaves the entry.
TEST_F(IoErrorsTest, ALostPageOfATableKeepsNoKey) {
    const auto one = start("one", kForever);
    ASSERT_EQ(put(*one, "key", 500000), ErrorCode::OK);
    const auto region = one->Query("key")->replicas.at(0).extents.at(0).region;
    // The first page is the region's last block.
    std::memset(control_.file(fileOf("one"))->data() + kMiB + (region + 1) * kRegion - 4096, 0,
                4096);
    for (int i = 0; i < 120; ++i) {
        ASSERT_EQ(put(*one, "other" + std::to_string(i), 500000), ErrorCode::OK) << i;
    }
    EXPECT_EQ(get(*one, "key", 500000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_FALSE(exists(*one, "key"));
    EXPECT_EQ(put(*one, "key", 500000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key", 500000), ErrorCode::OK);
    EXPECT_EQ(one->Statistics().checksum_failures, 0u);
}

// Of two copies, one in a file that is given up before the entry is committed: the other one's
// region is sealed in the end, like any other.
TEST_F(IoErrorsTest, AFileThatIsGivenUpCostsNoRegionOfAnother) {
    const auto one = start("one", kForever);
    const auto two = start("two", kForever);
    ASSERT_TRUE(knowsFiles(*one, 2));
    const auto limit = std::chrono::steady_clock::now() + kForever;
    const auto look = store::Directory::open(directory, {}, limit);
    ASSERT_TRUE(look);
    const auto fileOfNode = [&](const std::string& node) {
        const auto files = (*look)->files(limit);
        for (const auto& file : *files) {
            if (file.mount && file.mount->node == node) return file.number;
        }
        return store::FileNumber{0};
    };
    const auto mine = fileOfNode("one"), other = fileOfNode("two");
    ASSERT_NE(mine, other);
    bool is_given_up = false;
    setFault([&](const Request& request, const std::string&) {
        if (request.opcode == Request::WRITE && !std::exchange(is_given_up, true)) {
            endLeaseOf("two");
            EXPECT_TRUE((*look)->giveUpFile(other, limit));
        }
        return TransferFault::kNone;
    });
    ReplicateConfig config;
    config.replica_num = 2;
    EXPECT_EQ(put(*one, "key", 300000, config), ErrorCode::OK) << Client::LastError();
    EXPECT_TRUE(is_given_up);
    heal();
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
    EXPECT_TRUE(one->Close());
    const auto regions = (*look)->regions(mine, limit);
    ASSERT_TRUE(regions);
    EXPECT_EQ(regions->size(), 2u);
    for (const auto& region : *regions) {
        EXPECT_EQ(region.state, store::RegionState::kSealed) << region.id.index;
    }
}

// Two parts of one pinned object in a region, the first one with other bytes: the second one moves,
// and evictions go on.
TEST_F(IoErrorsTest, ADamagedPinnedPartHoldsNoEvictionUp) {
    const auto one = start("one", kForever);
    const auto limit = std::chrono::steady_clock::now() + kForever;
    const auto writer = store::Directory::open(directory, {}, limit);
    ASSERT_TRUE(writer && (*writer)->join("writer", limit));
    const auto files = (*writer)->files(limit);
    ASSERT_EQ(files->size(), 1u);
    const auto region = (*writer)->takeRegion(files->front().number, limit);
    ASSERT_TRUE(region);

    constexpr uint32_t kPart = 8192;
    const std::string bytes = contentOf("key", kPart);
    std::byte* const memory =
        control_.file(fileOf("one"))->data() + kMiB + region->id.index * kRegion;
    store::TableRecord record;
    record.key = "key";
    record.size = 2 * kPart;
    record.flags = store::kHardPin;
    store::RegionRun run(std::make_shared<store::RegionFill>(kRegion),
                         files->front().description.uuid, region->id.index, region->generation);
    const auto hash = XXH3_128bits(bytes.data(), bytes.size());
    store::Replica replica;
    for (int i = 0; i < 2; ++i) {
        const auto part = run.add(record, kPart);
        ASSERT_TRUE(part);
        const store::Checksum128 checksum{hash.low64, hash.high64};
        run.setChecksum(*part, checksum);
        const uint64_t offset = uint64_t{part->block} * store::kBlockBytes;
        if (i == 1) std::memcpy(memory + offset, bytes.data(), kPart);
        replica.push_back({region->id, region->generation, offset, kPart, checksum});
        record.object_offset += kPart;
    }
    run.seal();
    for (size_t i = 0; i < run.pages(); ++i) {
        const auto page = run.page(i);
        std::memcpy(memory + page.offset, page.bytes.data(), page.bytes.size());
    }
    store::ObjectEntry entry;
    entry.size = 2 * kPart;
    entry.flags = store::kHardPin;
    entry.replicas = {replica};
    const auto outcomes =
        (*writer)->commit({{"key", entry, store::Change::When::kAbsent, {}}}, limit);
    ASSERT_TRUE(outcomes);
    ASSERT_EQ(outcomes->front(), store::ChangeOutcome::kDone);
    ASSERT_TRUE((*writer)->sealRegion(region->id, region->generation, {2 * kPart, 2}, limit));

    // Where there was no room for it at first, a later look moves it.
    int number = 0;
    ASSERT_TRUE(eventually([&] {
        EXPECT_EQ(put(*one, "other" + std::to_string(number++), 500000), ErrorCode::OK);
        return one->Statistics().objects_moved != 0;
    }));
    const auto extents = one->Query("key")->replicas.at(0).extents;
    ASSERT_EQ(extents.size(), 2u);
    EXPECT_EQ(extents[0].region, region->id.index);
    EXPECT_NE(extents[1].region, region->id.index);
}

// It is removed while its bytes are on their way to another region: it does not come back.
TEST_F(IoErrorsTest, APinnedObjectThatIsRemovedMeanwhileIsNotMoved) {
    const auto one = start("one", kForever);
    ReplicateConfig hard;
    hard.with_hard_pin = true;
    ASSERT_EQ(put(*one, "pinned", 5000, hard), ErrorCode::OK);
    const auto extent = one->Query("pinned")->replicas.at(0).extents.at(0);
    ASSERT_TRUE(one->Close());
    const auto two = start("two", kForever);
    ASSERT_EQ(mount(*two, fileOf("one")), ErrorCode::OK) << Client::LastError();
    const auto limit = std::chrono::steady_clock::now() + kForever;
    const auto look = store::Directory::open(directory, {}, limit);
    bool is_removed = false;
    setFault([&](const Request& request, const std::string& path) {
        if (path == fileOf("one") && request.opcode == Request::READ && !is_removed &&
            request.target_offset == placeOf(extent)) {
            is_removed = true;
            EXPECT_TRUE((*look)->remove({"pinned"}, limit));
        }
        return TransferFault::kNone;
    });
    int i = 0;
    ASSERT_TRUE(eventually([&] {
        EXPECT_EQ(put(*two, "key" + std::to_string(i++), 500000), ErrorCode::OK);
        const auto regions = (*look)->regions(extent.file, limit);
        for (const auto& region : *regions) {
            if (region.id.index == extent.region) return region.generation > extent.generation;
        }
        return false;
    }));
    heal();
    EXPECT_TRUE(is_removed);
    EXPECT_FALSE(exists(*two, "pinned"));
    EXPECT_EQ(two->Statistics().objects_moved, 0u);
}

// Of two copies that are as far, the one is read whose file has less on its way.
TEST_F(IoErrorsTest, WhoIsBusyIsNotAsked) {
    const auto one = start("one", kForever);
    const auto two = start("two", kForever);
    const auto three = start("three", kForever);
    ASSERT_TRUE(knowsFiles(*three, 3) && knowsFiles(*one, 3));
    ReplicateConfig config;
    config.replica_num = 2;
    config.preferred_segments = {"one", "two"};
    ASSERT_EQ(put(*one, "key", 300000, config), ErrorCode::OK);
    ASSERT_EQ(three->Query("key")->replicas.at(0).segment, one->GetTransportEndpoint());
    setFault([&](const Request& request, const std::string& path) {
        return path == fileOf("one") && request.opcode == Request::READ && !isPage(request)
                   ? TransferFault::kHold
                   : TransferFault::kNone;
    });
    auto held = std::async(std::launch::async, [&] { return get(*three, "key", 300000); });
    control_.waitForHeld(1);
    for (int i = 0; i < 5; ++i) {
        auto got = std::async(std::launch::async, [&] { return get(*three, "key", 300000); });
        const bool is_done = got.wait_for(kForever) == std::future_status::ready;
        EXPECT_TRUE(is_done);
        if (!is_done) control_.release();
        EXPECT_EQ(got.get(), ErrorCode::OK);
    }
    control_.release();
    EXPECT_EQ(held.get(), ErrorCode::OK);
}

TEST_F(IoErrorsTest, ADiskThatLiesIsFoundOut) {
    const auto one = start("one", kForever);
    for (const TransferFault fault : {TransferFault::kLie, TransferFault::kCorrupt}) {
        const std::string key = "key" + std::to_string(static_cast<int>(fault));
        setFault([fault](const Request& request, const std::string&) {
            return request.opcode == Request::WRITE && !isPage(request) ? fault
                                                                        : TransferFault::kNone;
        });
        ASSERT_EQ(put(*one, key, 300000), ErrorCode::OK);
        heal();
        EXPECT_EQ(get(*one, key, 300000), ErrorCode::CHECKSUM_MISMATCH);
        EXPECT_EQ(get(*one, key, 300000), ErrorCode::OBJECT_NOT_FOUND);
    }
    EXPECT_EQ(one->Statistics().replicas_dropped, 2u);
}

// Whatever limits there are: as long as the memory may be written to, the call does not return, and
// the client does not close.
TEST_F(IoErrorsTest, NothingReturnsWhileItsMemoryIsInUse) {
    const auto one = start("one", std::chrono::milliseconds(500));
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    setFault([](const Request& request, const std::string&) {
        return request.opcode == Request::READ && !isPage(request) ? TransferFault::kHold
                                                                   : TransferFault::kNone;
    });
    auto got = std::async(std::launch::async, [&] { return get(*one, "key", 300000); });
    control_.waitForHeld(1);
    auto closed = std::async(std::launch::async, [&] { return one->Close(); });
    EXPECT_EQ(got.wait_for(std::chrono::milliseconds(700)), std::future_status::timeout);
    EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(0)), std::future_status::timeout);
    control_.release();
    EXPECT_EQ(got.get(), ErrorCode::OK);
    EXPECT_TRUE(closed.get());
}

}  // namespace
}  // namespace mooncake::test
