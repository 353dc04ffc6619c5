// SPDX-License-Identifier: Apache-2.0
// Disks that lie and nodes that go: right bytes or a miss.
#include <map>

#include "directory.h"
#include "nodes.h"
#include "superblock.h"

namespace mooncake::test {
namespace {

class FaultsTest : public StoreTest {
 protected:
    // The file of a copy, by the segment that serves it.
    std::string pathOf(const Replica::Descriptor& copy) {
        for (const auto& [segment, path] : paths_) {
            if (segment == copy.segment) return path;
        }
        return "";
    }
    std::shared_ptr<Client> start(const std::string& name) {
        auto client = nodeWithFile(name, 8);
        paths_[client->GetTransportEndpoint()] = fileOf(name);
        return client;
    }
    void damage(const Replica::Descriptor& copy, size_t extent = 0) {
        flip(pathOf(copy), placeOf(copy.extents.at(extent)) + copy.extents.at(extent).length - 1);
    }

 private:
    std::map<std::string, std::string> paths_;
};

TEST_F(FaultsTest, AFlippedByteIsNoObject) {
    const auto one = start("one");
    for (const size_t size : {size_t{1}, size_t{4096}, size_t{300001}, 6 * kMiB}) {
        const std::string key = std::to_string(size);
        ASSERT_EQ(put(*one, key, size), ErrorCode::OK);
        const auto query = one->Query(key);
        damage(query->replicas[0], query->replicas[0].extents.size() - 1);
        EXPECT_EQ(get(*one, key, size), ErrorCode::CHECKSUM_MISMATCH) << size;
        // It is known from then on, and the object can be put again.
        EXPECT_EQ(get(*one, key, size), ErrorCode::OBJECT_NOT_FOUND) << size;
        EXPECT_FALSE(exists(*one, key));
        EXPECT_EQ(put(*one, key, size), ErrorCode::OK);
        EXPECT_EQ(get(*one, key, size), ErrorCode::OK);
    }
    const auto numbers = one->Statistics();
    EXPECT_EQ(numbers.checksum_failures, 4u);
    EXPECT_EQ(numbers.replicas_dropped, 4u);
    EXPECT_EQ(numbers.misses_damaged, 4u);
}

TEST_F(FaultsTest, AnotherCopyIsReadInstead) {
    const auto one = start("one");
    const auto two = start("two");
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig config;
    config.replica_num = 2;
    for (int i = 0; i < 4; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(put(*one, key, 300000, config), ErrorCode::OK);
        const auto query = one->Query(key);
        ASSERT_EQ(query->replicas.size(), 2u);
        for (const auto& copy : query->replicas) {
            if (copy.segment == one->GetTransportEndpoint()) damage(copy);
        }
        EXPECT_EQ(get(*one, key, 300000), ErrorCode::OK);
        // The bad one is out of the entry.
        const auto after = two->Query(key);
        ASSERT_EQ(after->replicas.size(), 1u);
        EXPECT_EQ(after->replicas[0].segment, two->GetTransportEndpoint());
        EXPECT_EQ(get(*one, key, 300000), ErrorCode::OK);
    }
    EXPECT_EQ(one->Statistics().failovers, 4u);
    EXPECT_EQ(one->Statistics().checksum_failures, 4u);
    EXPECT_EQ(one->Statistics().misses_damaged, 0u);
    // The own node's copy was read first each time.
    EXPECT_EQ(two->Statistics().checksum_failures, 0u);
}

// Bytes that overwrite each other in the caller's memory say nothing of the copy.
TEST_F(FaultsTest, MemoryThatIsNamedTwiceCostsNoObject) {
    const auto one = start("one");
    for (const size_t size : {size_t{64} << 10, 6 * kMiB}) {
        const std::string key = std::to_string(size);
        ASSERT_EQ(put(*one, key, size), ErrorCode::OK);
        std::string half(size / 2, '?');
        std::vector<Slice> twice{{half.data(), half.size()}, {half.data(), half.size()}};
        // Each half may have been compared before the other one came.
        const auto got = one->Get(key, twice);
        EXPECT_TRUE(got || got.error() == ErrorCode::INVALID_PARAMS) << got.error();
        EXPECT_EQ(get(*one, key, size), ErrorCode::OK) << size;
        // Who only asks whether the copies are right hears that they are.
        const auto counts = one->BatchVerify({key}, {twice});
        ASSERT_TRUE(counts[0]);
        EXPECT_EQ(counts[0]->right, 1u);
        EXPECT_EQ(counts[0]->damaged, 0u);
    }
    EXPECT_EQ(one->Statistics().checksum_failures, 0u);
    EXPECT_EQ(one->Statistics().replicas_dropped, 0u);
}

TEST_F(FaultsTest, ABadObjectCostsNoOtherOneOfItsBatch) {
    const auto one = start("one");
    std::vector<std::string> keys, back;
    std::vector<std::vector<Slice>> slices;
    for (int i = 0; i < 20; ++i) {
        keys.push_back("key" + std::to_string(i));
        ASSERT_EQ(put(*one, keys.back(), 20000), ErrorCode::OK);
        back.emplace_back(20000, '?');
    }
    for (auto& bytes : back) slices.push_back({{bytes.data(), bytes.size()}});
    damage(one->Query(keys[3])->replicas[0]);
    ASSERT_TRUE(one->Remove(keys[4]));
    const auto results = one->BatchGetInto(keys, slices);
    for (size_t i = 0; i < 20; ++i) {
        if (i == 3 || i == 4) {
            EXPECT_EQ(results[i].error(),
                      i == 3 ? ErrorCode::CHECKSUM_MISMATCH : ErrorCode::OBJECT_NOT_FOUND);
        } else {
            EXPECT_EQ(results[i].value(), 20000u);
            EXPECT_TRUE(back[i] == contentOf(keys[i], 20000));
        }
    }
}

// What is read is not the file that the directory means: nothing is known of its objects then, and
// none is taken out.
TEST_F(FaultsTest, NothingIsTakenOutBecauseOfAnotherFile) {
    const auto one = start("one");
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    const auto query = one->Query("key");
    damage(query->replicas[0]);
    flip(fileOf("one"), 60);
    flip(fileOf("one"), store::kSuperblockCopyAt + 60);
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::TRANSFER_FAIL);
    EXPECT_EQ(one->Statistics().replicas_dropped, 0u);
    flip(fileOf("one"), 60);
    flip(fileOf("one"), store::kSuperblockCopyAt + 60);
    flip(fileOf("one"), placeOf(query->replicas[0].extents[0]) + 300000 - 1);
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
}

TEST_F(FaultsTest, ANodeThatIsGoneCostsWhatOnlyItHas) {
    auto one = start("one");
    const auto two = start("two");
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    ReplicateConfig both, mine;
    both.replica_num = 2;
    mine.preferred_segment = one->GetTransportEndpoint();
    ASSERT_EQ(put(*one, "both", 300000, both), ErrorCode::OK);
    ASSERT_EQ(put(*one, "mine", 300000, mine), ErrorCode::OK);
    ASSERT_EQ(get(*two, "mine", 300000), ErrorCode::OK);
    one.reset();
    ASSERT_TRUE(knowsFiles(*two, 1));
    EXPECT_EQ(get(*two, "both", 300000), ErrorCode::OK);
    EXPECT_TRUE(exists(*two, "both"));
    EXPECT_EQ(get(*two, "mine", 300000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_FALSE(exists(*two, "mine"));
    EXPECT_EQ(two->Query("mine")->replicas.at(0).status, ReplicaStatus::FAILED);
    EXPECT_EQ(put(*two, "new", 300000), ErrorCode::OK);
    EXPECT_EQ(two->Statistics().misses_unreachable, 1u);
}

// What it was filling in others' files is theirs to evict at once.
TEST_F(FaultsTest, WhoLeavesSealsItsRegions) {
    const auto one = start("one");
    const auto two = node("two");
    ASSERT_TRUE(knowsFiles(*two, 1));
    ASSERT_EQ(put(*two, "key", 300000), ErrorCode::OK);
    const auto limit = std::chrono::steady_clock::now() + kForever;
    const auto look = store::Directory::open(directory, {}, limit);
    ASSERT_EQ((*look)->usage(1, limit)->open, 1u);
    EXPECT_TRUE(two->Close());
    const auto use = (*look)->usage(1, limit);
    EXPECT_EQ(use->open, 0u);
    EXPECT_EQ(use->use, (store::RegionUse{300000, 1}));
}

TEST_F(FaultsTest, TwoClientsThatPutOneKeyStoreOne) {
    const auto one = start("one");
    const auto two = start("two");
    std::vector<std::thread> threads;
    std::atomic<int> failed{0};
    for (const auto& client : {one, two}) {
        threads.emplace_back([&, client] {
            for (int i = 0; i < 50; ++i) {
                failed += put(*client, "key" + std::to_string(i), 40000) != ErrorCode::OK;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(one->Statistics().stored + two->Statistics().stored, 50u);
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(get(*one, "key" + std::to_string(i), 40000), ErrorCode::OK);
        EXPECT_EQ(get(*two, "key" + std::to_string(i), 40000), ErrorCode::OK);
    }
}

// A lease that was lost: the client is another one then, with other regions and the same files.
TEST_F(FaultsTest, AClientThatHasLostItsLeaseJoinsAnew) {
    const auto one = join(shortLived(nodeOptions(directory, "one")));
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    ASSERT_EQ(put(*one, "before", 300000), ErrorCode::OK);
    // As an operator would who takes it for dead.
    const auto limit = std::chrono::steady_clock::now() + kForever;
    const auto look = store::Directory::open(directory, {}, limit);
    const auto clients = (*look)->clients(limit);
    ASSERT_EQ(clients->size(), 1u);
    endLease(directory, clients->front().id);
    ASSERT_TRUE(eventually([&] { return one->Statistics().leases_lost == 1; }));
    ASSERT_TRUE(eventually([&] { return one->HealthCheck().has_value(); }));
    EXPECT_EQ(put(*one, "after", 300000), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*one, "before", 300000), ErrorCode::OK);
    const auto two = node("two");
    EXPECT_EQ(get(*two, "before", 300000), ErrorCode::OK);
    EXPECT_EQ(get(*two, "after", 300000), ErrorCode::OK);
    // What it was filling before is sealed, and can be evicted.
    EXPECT_TRUE(eventually([&] { return one->Statistics().regions_sealed == 1; }));
}

// It was given up while its node was away: with the node it is back, as a new file.
TEST_F(FaultsTest, AFileThatWasGivenUpMeanwhileIsANewOne) {
    const auto two = start("two");
    const auto one = join(shortLived(nodeOptions(directory, "one")));
    ASSERT_EQ(mount(*one, folder.file("one", 33 * kMiB)), ErrorCode::OK);
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig config;
    config.preferred_segment = "one";
    ASSERT_EQ(put(*one, "key", 300000, config), ErrorCode::OK);
    const auto limit = std::chrono::steady_clock::now() + kForever;
    const auto look = store::Directory::open(directory, {}, limit);
    ASSERT_TRUE(look);
    // Until it is done before the node has come back.
    ASSERT_TRUE(eventually([&] {
        const auto clients = (*look)->clients(limit);
        for (const auto& client : *clients) {
            if (client.node == "one") endLease(directory, client.id);
        }
        const auto files = (*look)->files(limit);
        for (const auto& file : *files) {
            if (!file.mount && (*look)->giveUpFile(file.number, limit)) return true;
        }
        return false;
    }));
    // Until it has noticed, it counts the file as its own.
    ASSERT_TRUE(eventually([&] { return one->Statistics().leases_lost >= 1; }));
    ASSERT_TRUE(eventually([&] { return one->HealthCheck().has_value(); })) << Client::LastError();
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    EXPECT_FALSE(exists(*two, "key"));
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_EQ(put(*one, "key", 300000, config), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
    EXPECT_EQ(get(*two, "key", 300000), ErrorCode::OK);
    const auto copies = two->Query("key")->replicas;
    EXPECT_EQ(copies.at(0).segment, one->GetTransportEndpoint());
    EXPECT_EQ(copies.at(0).extents.at(0).file, 3u);
}

}  // namespace
}  // namespace mooncake::test
