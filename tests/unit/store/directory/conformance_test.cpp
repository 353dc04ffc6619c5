// SPDX-License-Identifier: Apache-2.0
// What every directory promises.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "backends.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using When = Change::When;

class DirectoryTest : public testing::TestWithParam<const char*> {
 protected:
    DirectoryTest() : backend(makeBackend(GetParam())) {}
    std::string address() const { return backend->address(); }

    const std::unique_ptr<Backend> backend;
};

FileInfo infoOf(Directory& directory, FileNumber file) {
    const auto files = directory.files(soon());
    EXPECT_TRUE(files) << files.error().message;
    for (const FileInfo& info : *files) {
        if (info.number == file) return info;
    }
    return {};
}

Region regionOf(Directory& directory, RegionId id) {
    const auto regions = directory.regions(id.file, soon());
    EXPECT_TRUE(regions) << regions.error().message;
    for (const Region& region : *regions) {
        if (region.id == id) return region;
    }
    return {};
}

uint32_t freeIn(Directory& directory, FileNumber file) {
    const auto free = directory.freeRegions(soon());
    EXPECT_TRUE(free) << free.error().message;
    for (const FreeRegions& one : *free) {
        if (one.file == file) return one.clean;
    }
    return ~0u;
}

TEST_P(DirectoryTest, IsTheSameStoreForAll) {
    const auto one = openDirectory(address()), other = openDirectory(address());
    EXPECT_FALSE(one->storeId().isNull());
    EXPECT_EQ(one->storeId(), other->storeId());
    EXPECT_NE(one->storeId(), openDirectory(makeBackend(GetParam())->address())->storeId());
    EXPECT_DONE(one->ping(soon()));
    EXPECT_GT(one->statistics().round_trips, 0u);
}

TEST_P(DirectoryTest, ClientsAreThereUntilTheyLeave) {
    Node one(address(), "a");
    const auto other = openDirectory(address());
    EXPECT_THAT(*other->clients(soon()), ElementsAre(ClientInfo{one.client, "a"}));
    EXPECT_EQ(one.directory->lease().client, one.client);
    EXPECT_TRUE(one.directory->lease().holds());
    EXPECT_FALSE(other->lease().holds());
    EXPECT_TRUE(infoOf(*other, one.file).mount);
    EXPECT_DONE(one.directory->leave(soon()));
    EXPECT_THAT(*other->clients(soon()), ElementsAre());
    EXPECT_FALSE(infoOf(*other, one.file).mount);
    EXPECT_FALSE(one.directory->lease().holds());
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kLeaseLost);
    const auto again = one.directory->join("a", soon());
    ASSERT_DONE(again);
    EXPECT_NE(*again, one.client);
}

TEST_P(DirectoryTest, ALeaseIsKeptAliveAndEndsWithItsClient) {
    const auto watcher = openDirectory(address());
    auto one = std::make_unique<Node>(address(), "a", shortLease());
    const auto begin = one->directory->lease().end;
    while (one->directory->lease().end == begin)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_THAT(*watcher->clients(soon()), ElementsAre(ClientInfo{one->client, "a"}));
    one.reset();
    EXPECT_THAT(*watcher->clients(soon()), ElementsAre()) << "it leaves with its end";
}

TEST_P(DirectoryTest, AFileHasOneNumber) {
    const auto one = openDirectory(address()), other = openDirectory(address());
    const FileDescription description = describeFile();
    const auto added = one->addFile(description, soon());
    ASSERT_DONE(added);
    EXPECT_EQ(added->description, description);
    EXPECT_GT(added->number, 0u);
    EXPECT_FALSE(added->mount);
    EXPECT_EQ(other->addFile(description, soon())->number, added->number);
    EXPECT_NE(other->addFile(describeFile(), soon())->number, added->number);
    FileDescription larger = description;
    larger.size += 4096;
    EXPECT_FAILS(other->addFile(larger, soon()), Failure::kInvalid);
    larger.region_size = 0;
    EXPECT_FAILS(other->addFile(larger, soon()), Failure::kInvalid);
    EXPECT_EQ(one->files(soon())->size(), 2u);
}

TEST_P(DirectoryTest, ManyAddFilesAtOnce) {
    constexpr int kThreads = 8;
    const FileDescription shared = describeFile();
    std::vector<std::thread> threads;
    std::vector<FileNumber> numbers(kThreads), own(kThreads);
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            const auto directory = openDirectory(address());
            own[i] = directory->addFile(describeFile(), soon())->number;
            numbers[i] = directory->addFile(shared, soon())->number;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(std::set<FileNumber>(numbers.begin(), numbers.end()).size(), 1u);
    EXPECT_EQ(std::set<FileNumber>(own.begin(), own.end()).size(), size_t{kThreads});
}

TEST_P(DirectoryTest, OneClientMountsAFile) {
    Node one(address(), "a"), other(address(), "b");
    const Mount mount{one.client, "a", "a:12345", 1, "/dev/x"};
    EXPECT_EQ(infoOf(*other.directory, one.file).mount, mount);
    const auto twice = other.directory->mountFile(one.file, {0, "b", "b:1", 2, "/dev/y"}, soon());
    EXPECT_FAILS(twice, Failure::kConflict);
    EXPECT_THAT(twice.error().message, HasSubstr("'a'"));
    EXPECT_DONE(one.directory->mountFile(one.file, mount, soon())) << "the same again";
    EXPECT_DONE(other.directory->unmountFile(one.file, soon()));
    EXPECT_TRUE(infoOf(*other.directory, one.file).mount) << "only its client unmounts it";
    EXPECT_DONE(one.directory->unmountFile(one.file, soon()));
    EXPECT_DONE(one.directory->unmountFile(one.file, soon()));
    EXPECT_FALSE(infoOf(*other.directory, one.file).mount);
    EXPECT_DONE(other.directory->mountFile(one.file, {0, "b", "b:1", 2, "/dev/y"}, soon()));
    EXPECT_EQ(infoOf(*one.directory, one.file).mount->node, "b");
    EXPECT_FAILS(one.directory->mountFile(4711, mount, soon()), Failure::kNotFound);
}

TEST_P(DirectoryTest, RegionsAreTakenOnce) {
    Node one(address(), "a"), other(address(), "b");
    std::set<RegionId> taken;
    EXPECT_EQ(freeIn(*one.directory, one.file), 32u);
    for (int i = 0; i < 16; ++i) {
        for (Node* node : {&one, &other}) {
            const auto region = node->directory->takeRegion(one.file, soon());
            ASSERT_DONE(region);
            EXPECT_EQ(region->state, RegionState::kOpen);
            EXPECT_EQ(region->generation, 1u);
            EXPECT_EQ(region->owner, node->client);
            EXPECT_EQ(region->id.file, one.file);
            EXPECT_LT(region->id.index, 32u);
            taken.insert(region->id);
        }
    }
    EXPECT_EQ(taken.size(), 32u);
    EXPECT_EQ(freeIn(*one.directory, one.file), 0u);
    EXPECT_EQ(freeIn(*one.directory, other.file), 32u);
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kNoSpace);
    EXPECT_FAILS(one.directory->takeRegion(4711, soon()), Failure::kNotFound);
    const auto use = one.directory->usage(one.file, soon());
    ASSERT_DONE(use);
    EXPECT_EQ(*use, (FileUse{0, 32, 0, 0, {}}));
}

TEST_P(DirectoryTest, ManyTakeRegionsAtOnce) {
    constexpr int kThreads = 8;
    Node one(address(), "a"), other(address(), "b");
    std::mutex mutex;
    std::set<RegionId> taken;
    std::atomic<int> full{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (Node* node = i % 2 == 0 ? &one : &other;;) {
                const auto region = node->directory->takeRegion(one.file, soon());
                if (!region) {
                    EXPECT_EQ(region.error().failure, Failure::kNoSpace) << region.error().message;
                    ++full;
                    return;
                }
                const std::lock_guard lock(mutex);
                EXPECT_TRUE(taken.insert(region->id).second) << toString(region->id);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(taken.size(), 32u);
    EXPECT_EQ(full, kThreads);
}

TEST_P(DirectoryTest, ARegionGoesRound) {
    Node one(address(), "a"), other(address(), "b");
    const Region open = one.take();
    EXPECT_FAILS(other.directory->sealRegion(open.id, 1, {}, soon()), Failure::kConflict);
    EXPECT_FAILS(other.directory->beginClean(open.id, 1, soon()), Failure::kConflict);
    EXPECT_FAILS(one.directory->sealRegion(open.id, 2, {}, soon()), Failure::kConflict);
    EXPECT_DONE(one.directory->sealRegion(open.id, 1, {1000, 3}, soon()));
    EXPECT_DONE(one.directory->sealRegion(open.id, 1, {9999, 9}, soon())) << "the same again";
    Region now = regionOf(*other.directory, open.id);
    EXPECT_EQ(now.state, RegionState::kSealed);
    EXPECT_EQ(now.use, (RegionUse{1000, 3}));
    EXPECT_EQ(other.directory->usage(one.file, soon())->use, (RegionUse{1000, 3}));

    EXPECT_FAILS(other.directory->beginClean(open.id, 7, soon()), Failure::kConflict);
    const auto cleaning = other.directory->beginClean(open.id, 1, soon());
    ASSERT_DONE(cleaning);
    EXPECT_EQ(cleaning->generation, 2u);
    EXPECT_EQ(cleaning->state, RegionState::kCleaning);
    EXPECT_EQ(cleaning->owner, other.client);
    EXPECT_EQ(other.directory->beginClean(open.id, 1, soon())->generation, 2u) << "the same again";
    EXPECT_FAILS(one.directory->beginClean(open.id, 1, soon()), Failure::kConflict);
    EXPECT_FAILS(one.directory->endClean(open.id, 2, soon()), Failure::kConflict);
    EXPECT_EQ(freeIn(*one.directory, one.file), 31u);
    EXPECT_DONE(other.directory->endClean(open.id, 2, soon()));
    EXPECT_DONE(other.directory->endClean(open.id, 2, soon()));
    EXPECT_EQ(freeIn(*one.directory, one.file), 32u);
    EXPECT_EQ(regionOf(*one.directory, open.id).state, RegionState::kClean);
    const Region again = one.take();
    EXPECT_EQ(again.id, open.id) << "what was used before is taken first";
    EXPECT_EQ(again.generation, 2u);
    EXPECT_DONE(other.directory->endClean(open.id, 2, soon())) << "the same again, late";
    EXPECT_FAILS(one.directory->sealRegion({one.file, 4711}, 1, {}, soon()), Failure::kNotFound);
}

TEST_P(DirectoryTest, WhatADeadClientLeftIsTaken) {
    Node other(address(), "b");
    RegionId open_id, cleaning_id;
    FileNumber file = 0;
    {
        Node one(address(), "a");
        file = one.file;
        open_id = one.take().id;
        const Region second = one.take();
        cleaning_id = second.id;
        EXPECT_DONE(one.directory->sealRegion(second.id, 1, {1, 1}, soon()));
        EXPECT_DONE(one.directory->beginClean(second.id, 1, soon()));
        EXPECT_FAILS(other.directory->sealRegion(open_id, 1, {}, soon()), Failure::kConflict);
        EXPECT_FAILS(other.directory->beginClean(cleaning_id, 2, soon()), Failure::kConflict);
    }
    EXPECT_DONE(other.directory->sealRegion(open_id, 1, {5, 5}, soon()));
    const auto cleaning = other.directory->beginClean(cleaning_id, 2, soon());
    ASSERT_DONE(cleaning);
    EXPECT_EQ(cleaning->generation, 2u) << "nobody has written into it since";
    EXPECT_DONE(other.directory->endClean(cleaning_id, 2, soon()));
    EXPECT_EQ(*other.directory->usage(file, soon()), (FileUse{31, 0, 1, 0, {5, 5}}));
}

TEST_P(DirectoryTest, WhatWasReadLongestAgoIsTold) {
    Node one(address());
    std::vector<RegionId> regions;
    for (int i = 0; i < 3; ++i) {
        regions.push_back(one.take().id);
        EXPECT_DONE(one.directory->sealRegion(regions[i], 1, {}, soon()));
    }
    const auto used = [&](int i) { return regionOf(*one.directory, regions[i]).last_used; };
    EXPECT_LT(used(0), used(1));
    EXPECT_LT(used(1), used(2));
    EXPECT_DONE(one.directory->touch({regions[0], regions[1]}, soon()));
    EXPECT_GT(used(0), used(2));
    EXPECT_EQ(used(0), used(1));
    EXPECT_DONE(one.directory->touch({}, soon()));
}

TEST_P(DirectoryTest, ALostDirectoryIsMadeAgain) {
    Node one(address());
    const auto adopted = one.directory->adoptRegion({one.file, 0}, 17, soon());
    ASSERT_DONE(adopted);
    EXPECT_EQ(adopted->generation, 17u);
    EXPECT_EQ(one.put("key", entryIn(*adopted)), ChangeOutcome::kDone);
    EXPECT_DONE(one.directory->sealRegion(adopted->id, 17, {4096, 1}, soon()));
    EXPECT_FAILS(one.directory->adoptRegion(adopted->id, 18, soon()), Failure::kConflict);
    std::set<RegionId> taken;
    for (int i = 0; i < 31; ++i) taken.insert(one.take().id);
    EXPECT_EQ(taken.size(), 31u);
    EXPECT_EQ(taken.count(adopted->id), 0u);
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kNoSpace);
}

TEST_P(DirectoryTest, AnEntryIsSetOnceAndStays) {
    Node one(address(), "a"), other(address(), "b");
    const Region mine = one.take(), theirs = other.take();
    const std::string key("k\0\xff/..", 6);
    EXPECT_FALSE(other.get(key));
    EXPECT_EQ(one.put(key, entryIn(mine)), ChangeOutcome::kDone);
    EXPECT_EQ(other.get(key), entryIn(mine));
    EXPECT_EQ(one.put(key, entryIn(mine)), ChangeOutcome::kDone) << "the same call again";
    EXPECT_EQ(one.put(key, entryIn(mine, 4096)), ChangeOutcome::kExists);
    EXPECT_EQ(other.put(key, entryIn(theirs)), ChangeOutcome::kExists);
    EXPECT_EQ(one.get(key), entryIn(mine));
    EXPECT_THAT(*one.directory->exists({key, "none", key}, nullptr, soon()),
                ElementsAre(true, false, true));
    EXPECT_THAT(*one.directory->remove({"none", key}, soon()), ElementsAre(false, true));
    EXPECT_FALSE(other.get(key));
    EXPECT_THAT(*other.directory->exists({key}, nullptr, soon()), ElementsAre(false));
    EXPECT_TRUE(other.directory->list("", "", 10, soon())->objects.empty());
    EXPECT_EQ(other.put(key, entryIn(theirs)), ChangeOutcome::kDone);
    const auto numbers = one.directory->statistics();
    EXPECT_EQ(numbers.changed, 2u);
    EXPECT_EQ(numbers.refused, 1u);
    EXPECT_EQ(numbers.removed, 1u);
    EXPECT_EQ(numbers.grouped, 3u);
}

TEST_P(DirectoryTest, KeysHaveAnyBytesUpTo4096) {
    Node one(address());
    const Region region = one.take();
    std::vector<Change> changes;
    std::vector<std::string> keys;
    for (int byte = 0; byte < 256; ++byte) keys.emplace_back(1, static_cast<char>(byte));
    keys.emplace_back(4096, '\xff');
    keys.emplace_back(4096, '\0');
    keys.emplace_back(4095, '\0');
    for (size_t i = 0; i < keys.size(); ++i) {
        changes.push_back({keys[i], entryIn(region, i * 4096), When::kAbsent});
    }
    const auto outcomes = one.directory->commit(changes, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
    const auto found = one.directory->lookup(keys, soon());
    ASSERT_DONE(found);
    for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(found->at(i), changes[i].entry);
    EXPECT_FAILS(one.directory->commit({{"", entryIn(region)}}, soon()), Failure::kInvalid);
    EXPECT_FAILS(one.directory->commit({{std::string(4097, 'k'), entryIn(region)}}, soon()),
                 Failure::kInvalid);
    EXPECT_FAILS(one.directory->commit({{"k", ObjectEntry()}}, soon()), Failure::kInvalid);
    EXPECT_TRUE(one.directory->commit({}, soon())->empty());
    EXPECT_TRUE(one.directory->lookup({}, soon())->empty());
    EXPECT_TRUE(one.directory->exists({}, nullptr, soon())->empty());
    EXPECT_TRUE(one.directory->remove({}, soon())->empty());
    EXPECT_THAT(*one.directory->exists({"", std::string(4097, 'k')}, nullptr, soon()),
                ElementsAre(false, false));
}

TEST_P(DirectoryTest, ANewClientDoesNotWriteIntoTheRegionsOfTheOneBefore) {
    Node one(address());
    const Region region = one.take();
    ASSERT_EQ(one.put("key", entryIn(region)), ChangeOutcome::kDone);
    ASSERT_DONE(one.directory->join("node", soon()));
    EXPECT_EQ(one.put("other", entryIn(region, 4096)), ChangeOutcome::kRegionLost);
    EXPECT_TRUE(one.get("key"));
}

TEST_P(DirectoryTest, OnlyItsOwnerWritesIntoARegion) {
    Node one(address(), "a"), other(address(), "b");
    const Region mine = one.take();
    EXPECT_EQ(other.put("key", entryIn(mine)), ChangeOutcome::kRegionLost);
    Region wrong = mine;
    wrong.generation = 2;
    EXPECT_EQ(one.put("key", entryIn(wrong)), ChangeOutcome::kRegionLost);
    wrong = mine;
    wrong.id.index = 31;
    EXPECT_EQ(one.put("key", entryIn(wrong)), ChangeOutcome::kRegionLost) << "never taken";
    ObjectEntry two = entryIn(mine);
    two.replicas.push_back(entryIn(wrong).replicas[0]);
    EXPECT_EQ(one.put("key", two), ChangeOutcome::kRegionLost) << "one of two";
    // Others in the same transaction are not held up.
    const auto outcomes = one.directory->commit(
        {{"a", entryIn(wrong)}, {"b", entryIn(mine, 4096)}, {"c", two}}, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, ElementsAre(ChangeOutcome::kRegionLost, ChangeOutcome::kDone,
                                       ChangeOutcome::kRegionLost));
    EXPECT_DONE(one.directory->sealRegion(mine.id, 1, {}, soon()));
    EXPECT_EQ(one.put("key", entryIn(mine)), ChangeOutcome::kRegionLost) << "sealed";
    EXPECT_FALSE(one.get("key"));
    EXPECT_TRUE(one.get("b"));
}

TEST_P(DirectoryTest, ReplicasLieInSeveralFiles) {
    Node one(address(), "a"), other(address(), "b");
    const Region here = one.take();
    const auto there = one.directory->takeRegion(other.file, soon());
    ASSERT_DONE(there);
    ObjectEntry entry = entryIn(here);
    entry.replicas.push_back(entryIn(*there).replicas[0]);
    EXPECT_EQ(one.put("key", entry), ChangeOutcome::kDone);
    EXPECT_EQ(other.get("key"), entry);
    EXPECT_DONE(other.directory->dropReplica("key", entry.replicas[0], soon()));
    ObjectEntry left = entry;
    left.replicas.erase(left.replicas.begin());
    EXPECT_EQ(one.get("key"), left);
    EXPECT_DONE(other.directory->dropReplica("key", entry.replicas[0], soon())) << "again";
    EXPECT_EQ(one.get("key"), left);
    EXPECT_DONE(other.directory->dropReplica("key", entry.replicas[1], soon()));
    EXPECT_FALSE(one.get("key"));
}

TEST_P(DirectoryTest, AnEntryIsReplacedIfItIsWhatWasSeen) {
    Node one(address(), "a"), other(address(), "b");
    const Region mine = one.take(), theirs = other.take();
    const ObjectEntry first = entryIn(mine), moved = entryIn(theirs);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, first), ChangeOutcome::kChanged);
    ASSERT_EQ(one.put("key", first), ChangeOutcome::kDone);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, entryIn(mine, 8192)),
              ChangeOutcome::kChanged);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, first), ChangeOutcome::kDone);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, first), ChangeOutcome::kDone) << "again";
    // What it had may lie in regions of others.
    ObjectEntry both = moved;
    both.replicas.push_back(entryIn(mine, 4096).replicas[0]);
    EXPECT_EQ(one.put("key", both, When::kUnchanged, moved), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("key"), both);
    EXPECT_EQ(one.put("key", first, When::kAlways), ChangeOutcome::kDone);
    EXPECT_EQ(one.put("new", first, When::kAlways), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("key"), first);
}

TEST_P(DirectoryTest, APutReplacesWhatNobodyCanRead) {
    Node one(address(), "a");
    ObjectEntry lost, half;
    {
        Node other(address(), "b");
        const auto there = one.directory->takeRegion(other.file, soon());
        ASSERT_DONE(there);
        lost = entryIn(*there);
        half = entryIn(*there, 4096);
        half.replicas.push_back(entryIn(one.take(), 4096).replicas[0]);
        ASSERT_EQ(one.put("lost", lost), ChangeOutcome::kDone);
        ASSERT_EQ(one.put("half", half), ChangeOutcome::kDone);
        EXPECT_FAILS(one.directory->giveUpFile(other.file, soon()), Failure::kConflict);
    }
    const Region mine = one.take();
    EXPECT_EQ(one.put("lost", entryIn(mine)), ChangeOutcome::kExists) << "it may come back";
    EXPECT_DONE(one.directory->giveUpFile(lost.replicas[0][0].region.file, soon()));
    EXPECT_EQ(one.put("lost", entryIn(mine)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("lost"), entryIn(mine));
    EXPECT_EQ(one.put("half", entryIn(mine, 4096)), ChangeOutcome::kExists) << "one replica lives";
    // Evicted, and its entry is not removed yet.
    EXPECT_DONE(one.directory->sealRegion(mine.id, 1, {}, soon()));
    const Region next = one.take();
    EXPECT_EQ(one.put("lost", entryIn(next)), ChangeOutcome::kExists);
    EXPECT_DONE(one.directory->beginClean(mine.id, 1, soon()));
    EXPECT_EQ(one.put("lost", entryIn(next)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("lost"), entryIn(next));
}

TEST_P(DirectoryTest, AFileThatWasGivenUpIsAnotherOneWhenItComesBack) {
    Node one(address(), "a");
    const FileDescription description = infoOf(*one.directory, one.file).description;
    EXPECT_DONE(one.directory->unmountFile(one.file, soon()));
    EXPECT_DONE(one.directory->giveUpFile(one.file, soon()));
    EXPECT_DONE(one.directory->giveUpFile(one.file, soon())) << "again";
    EXPECT_EQ(infoOf(*one.directory, one.file).state, FileState::kGivenUp);
    EXPECT_FAILS(one.directory->mountFile(one.file, {}, soon()), Failure::kNotFound);
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kNotFound);
    EXPECT_FAILS(one.directory->giveUpFile(4711, soon()), Failure::kNotFound);
    EXPECT_EQ(freeIn(*one.directory, one.file), ~0u) << "not told of";
    const auto again = one.directory->addFile(description, soon());
    ASSERT_DONE(again);
    EXPECT_NE(again->number, one.file);
    EXPECT_EQ(again->state, FileState::kActive);
}

TEST_P(DirectoryTest, AScratchFileTakesItsObjectsAlong) {
    Node one(address(), "a");
    ObjectEntry entry;
    {
        auto other = openDirectory(address());
        ASSERT_DONE(other->join("b", soon()));
        FileDescription description = describeFile();
        description.scratch = true;
        const auto file = other->addFile(description, soon());
        ASSERT_DONE(file);
        EXPECT_DONE(other->mountFile(file->number, {0, "b", "b:1", 1, "/tmp/x"}, soon()));
        const auto region = one.directory->takeRegion(file->number, soon());
        ASSERT_DONE(region);
        entry = entryIn(*region);
        ASSERT_EQ(one.put("key", entry), ChangeOutcome::kDone);
        EXPECT_EQ(one.put("key", entryIn(one.take())), ChangeOutcome::kExists);
    }
    const Region mine = one.take();
    EXPECT_EQ(one.put("key", entryIn(mine)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("key"), entryIn(mine));
}

TEST_P(DirectoryTest, ManyKeysAtOnce) {
    constexpr size_t kKeys = 5000;
    Node one(address());
    const Region region = one.take();
    std::vector<Change> changes;
    std::vector<std::string> keys;
    for (size_t i = 0; i < kKeys; ++i) {
        keys.push_back("key" + std::to_string(i));
        if (i % 2 == 0) changes.push_back({keys[i], entryIn(region, i), When::kAbsent});
    }
    const auto outcomes = one.directory->commit(changes, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
    const auto there = one.directory->exists(keys, nullptr, soon());
    const auto entries = one.directory->lookup(keys, soon());
    ASSERT_DONE(there);
    ASSERT_DONE(entries);
    for (size_t i = 0; i < kKeys; ++i) {
        ASSERT_EQ(there->at(i), i % 2 == 0) << i;
        ASSERT_EQ(entries->at(i).has_value(), i % 2 == 0) << i;
        if (i % 2 == 0) {
            ASSERT_EQ(*entries->at(i), entryIn(region, i));
        }
    }
    // With a filter: as if only the first half of the region were within reach.
    const auto near = one.directory->exists(
        keys, [](const Extent& extent) { return extent.offset < kKeys / 2; }, soon());
    ASSERT_DONE(near);
    for (size_t i = 0; i < kKeys; ++i) ASSERT_EQ(near->at(i), i % 2 == 0 && i < kKeys / 2) << i;

    // What was evicted goes, what was written again since stays.
    EXPECT_DONE(one.directory->sealRegion(region.id, 1, {}, soon()));
    EXPECT_DONE(one.directory->beginClean(region.id, 1, soon()));
    const Region other = one.take();
    ASSERT_EQ(one.put("key0", entryIn(other)), ChangeOutcome::kDone);
    EXPECT_DONE(one.directory->dropOlder(keys, region.id, 2, soon()));
    const auto left = one.directory->exists(keys, nullptr, soon());
    ASSERT_DONE(left);
    EXPECT_EQ(std::count(left->begin(), left->end(), true), 1);
    EXPECT_TRUE(left->at(0));
}

TEST_P(DirectoryTest, AKeyTwiceInOneCall) {
    Node one(address());
    const Region region = one.take();
    const auto outcomes = one.directory->commit({{"key", entryIn(region)},
                                                 {"other", entryIn(region, 4096)},
                                                 {"key", entryIn(region, 8192)},
                                                 {"key", entryIn(region)}},
                                                soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, ElementsAre(ChangeOutcome::kDone, ChangeOutcome::kDone,
                                       ChangeOutcome::kExists, ChangeOutcome::kDone));
    EXPECT_EQ(one.get("key"), entryIn(region));
    EXPECT_THAT(*one.directory->remove({"key", "key"}, soon()), ElementsAre(true, false));
}

TEST_P(DirectoryTest, LargeEntries) {
    Node one(address());
    const Region region = one.take();
    ObjectEntry entry;
    entry.time_ms = 1;
    for (uint64_t i = 0; i < 10000; ++i) {
        if (i % 5000 == 0) entry.replicas.emplace_back();
        entry.replicas.back().push_back(
            makeExtent(region.id.file, region.id.index, region.generation, i * 400, 400));
    }
    entry.size = 5000 * 400;
    EXPECT_EQ(one.put("large", entry), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("large"), entry);
    ObjectEntry larger = entry;
    for (int i = 0; i < 10; ++i) larger.replicas.push_back(entry.replicas[0]);
    EXPECT_FAILS(one.directory->commit({{"larger", larger}}, soon()), Failure::kInvalid);
    // Several that do not fit into one request.
    std::vector<Change> changes;
    for (int i = 0; i < 6; ++i) changes.push_back({"large" + std::to_string(i), entry});
    const auto outcomes = one.directory->commit(changes, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
}

TEST_P(DirectoryTest, ListsInPages) {
    Node one(address());
    const Region region = one.take();
    std::vector<Change> changes;
    for (const std::string& key : {std::string("a"), std::string("b"), std::string("b\0", 2),
                                   std::string("b\xff"), std::string("b\xff\xff"), std::string("c"),
                                   std::string("\xff"), std::string("\xff\xff")}) {
        changes.push_back({key, entryIn(region, changes.size())});
    }
    ASSERT_DONE(one.directory->commit(changes, soon()));
    const auto all = [&](const std::string& prefix, size_t limit) {
        std::vector<std::string> keys;
        std::string from;
        do {
            const auto page = one.directory->list(prefix, from, limit, soon());
            EXPECT_TRUE(page) << page.error().message;
            EXPECT_LE(page->objects.size(), limit);
            for (const auto& [key, entry] : page->objects) {
                for (const Change& change : changes) {
                    if (change.key != key) continue;
                    EXPECT_EQ(change.entry, entry);
                }
                keys.push_back(key);
            }
            from = page->next;
        } while (!from.empty());
        return keys;
    };
    for (const size_t limit : {1, 2, 3, 1000}) {
        EXPECT_EQ(all("", limit).size(), changes.size()) << limit;
        EXPECT_THAT(all("b", limit), ElementsAre("b", std::string("b\0", 2), "b\xff", "b\xff\xff"));
        EXPECT_THAT(all("b\xff", limit), ElementsAre("b\xff", "b\xff\xff"));
        EXPECT_THAT(all("\xff", limit), ElementsAre("\xff", "\xff\xff"));
        EXPECT_THAT(all("d", limit), ElementsAre());
    }
    const auto removed = one.directory->removeMatching(
        "b", [](std::string_view key, const ObjectEntry&) { return key.size() == 2; }, soon());
    ASSERT_DONE(removed);
    EXPECT_EQ(*removed, 2u);
    EXPECT_THAT(all("b", 10), ElementsAre("b", "b\xff\xff"));
    EXPECT_EQ(*one.directory->removeMatching(
                  "", [](std::string_view, const ObjectEntry&) { return true; }, soon()),
              6u);
    EXPECT_THAT(all("", 10), ElementsAre());
}

// Entries that many change at once come to the sum of what each did.
TEST_P(DirectoryTest, EditsDoNotLoseEachOther) {
    constexpr int kThreads = 4, kTimes = 10;
    Node one(address());
    const Region region = one.take();
    ObjectEntry entry = entryIn(region);
    entry.time_ms = 0;
    ASSERT_EQ(one.put("count", entry), ChangeOutcome::kDone);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            const auto directory = openDirectory(address());
            for (int time = 0; time < kTimes; ++time) {
                const auto edits = directory->edit(
                    {"count", "none"},
                    [](std::string_view, ObjectEntry* found) {
                        ++found->time_ms;
                        return Edit::kChange;
                    },
                    soon());
                ASSERT_DONE(edits);
                EXPECT_THAT(*edits, ElementsAre(Edit::kChange, Edit::kKeep));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(one.get("count")->time_ms, uint64_t{kThreads * kTimes});
}

// Two clients that put one key: one of them wins, and both learn who.
TEST_P(DirectoryTest, PutsOfOneKeyAtOnce) {
    constexpr int kThreads = 4, kKeys = 100;
    std::vector<std::unique_ptr<Node>> nodes;
    std::vector<Region> regions;
    for (int i = 0; i < kThreads; ++i) {
        nodes.push_back(std::make_unique<Node>(address(), "n" + std::to_string(i)));
        regions.push_back(nodes.back()->take());
    }
    std::vector<std::vector<ChangeOutcome>> outcomes(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int key = 0; key < kKeys; ++key) {
                outcomes[i].push_back(nodes[i]->put(std::to_string(key), entryIn(regions[i], key)));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (int key = 0; key < kKeys; ++key) {
        int winners = 0;
        for (int i = 0; i < kThreads; ++i) {
            if (outcomes[i][key] != ChangeOutcome::kDone) {
                EXPECT_EQ(outcomes[i][key], ChangeOutcome::kExists);
                continue;
            }
            ++winners;
            EXPECT_EQ(nodes[0]->get(std::to_string(key)), entryIn(regions[i], key));
        }
        EXPECT_EQ(winners, 1) << key;
    }
}

TEST_P(DirectoryTest, CommitsOfManyThreadsShareTransactions) {
    constexpr int kThreads = 16, kKeys = 50;
    Node one(address());
    const Region region = one.take();
    const uint64_t before = one.directory->statistics().groups;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int key = 0; key < kKeys; ++key) {
                const int n = i * kKeys + key;
                EXPECT_EQ(one.put(std::to_string(n), entryIn(region, n)), ChangeOutcome::kDone);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    const auto numbers = one.directory->statistics();
    EXPECT_EQ(numbers.grouped, uint64_t{kThreads * kKeys});
    EXPECT_LT(numbers.groups - before, uint64_t{kThreads * kKeys});
    EXPECT_EQ(numbers.changed, uint64_t{kThreads * kKeys});
}

TEST_P(DirectoryTest, WatchesTellWhatChanges) {
    Node one(address(), "a");
    const auto other = openDirectory(address());
    auto watch = other->watch(soon());
    ASSERT_DONE(watch);
    const auto first = (*watch)->next(soon());
    ASSERT_DONE(first);
    EXPECT_TRUE(first->complete);
    ASSERT_EQ(first->files.size(), 1u);
    EXPECT_EQ(first->files[0], infoOf(*other, one.file));
    const auto none = (*watch)->next(in(std::chrono::milliseconds(1)));
    ASSERT_DONE(none);
    EXPECT_TRUE(none->empty());

    // Collects what comes until `done`.
    std::map<FileNumber, FileInfo> files;
    std::map<RegionId, Region> regions;
    const auto until = [&](auto done) {
        const Deadline end = soon();
        while (!done() && std::chrono::steady_clock::now() < end) {
            const auto changes = (*watch)->next(end);
            ASSERT_DONE(changes);
            EXPECT_FALSE(changes->complete);
            for (const auto& file : changes->files) files[file.number] = file;
            for (const auto& region : changes->regions) regions[region.id] = region;
        }
        EXPECT_TRUE(done());
    };
    const Region region = one.take();
    until([&] { return regions.count(region.id) == 1; });
    EXPECT_EQ(regions[region.id], region);
    EXPECT_DONE(one.directory->sealRegion(region.id, 1, {7, 8}, soon()));
    until([&] { return regions[region.id].state == RegionState::kSealed; });
    EXPECT_EQ(regions[region.id].use, (RegionUse{7, 8}));
    Node more(address(), "b");
    until([&] { return files.count(more.file) == 1 && files[more.file].mount; });
    EXPECT_EQ(files[more.file], infoOf(*other, more.file));
    EXPECT_DONE(more.directory->leave(soon()));
    until([&] { return !files[more.file].mount; });
    EXPECT_DONE(one.directory->giveUpFile(more.file, soon()));
    until([&] { return files[more.file].state == FileState::kGivenUp; });
}

TEST_P(DirectoryTest, ChecksItself) {
    const auto directory = openDirectory(address());
    const auto findings = directory->check(soon());
    ASSERT_DONE(findings);
    EXPECT_FALSE(findings->empty());
    for (const Finding& finding : *findings) {
        EXPECT_NE(finding.severity, Finding::Severity::kError) << finding.text;
    }
}

INSTANTIATE_TEST_SUITE_P(Sqlite, DirectoryTest, testing::Values("sqlite"));
#ifdef USE_ETCD
INSTANTIATE_TEST_SUITE_P(Etcd, DirectoryTest, testing::Values("etcd"));
#endif

}  // namespace
}  // namespace mooncake::store::test
