// SPDX-License-Identifier: Apache-2.0
// What every directory promises of regions.
#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <thread>

#include "directory_fixture.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::ElementsAre;

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

}  // namespace
}  // namespace mooncake::store::test
