// SPDX-License-Identifier: Apache-2.0
#include "eviction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace mooncake::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kRegion = 1000;

TEST(EvictionTest, WhatWasReadLongestAgoGoesFirst) {
    const RegionFacts regions[] = {
        {0, false, true, 30, 900, 0, 0}, {1, false, true, 10, 900, 0, 0},
        {2, false, false, 1, 900, 0, 0}, {3, false, true, 20, 900, 0, 0},
        {4, true, false, 0, 0, 0, 0},    {5, false, true, 40, 0, 0, 0},
    };
    EXPECT_THAT(chooseVictims(regions, kRegion, 3),
                ElementsAre(Victim{5, PinsToMove::kNone}, Victim{1, PinsToMove::kNone},
                            Victim{3, PinsToMove::kNone}))
        << "one without objects costs nothing";
    EXPECT_EQ(chooseVictims(regions, kRegion, 100).size(), 4u);
    EXPECT_THAT(chooseVictims(regions, kRegion, 0), IsEmpty());
}

TEST(EvictionTest, AFewPinsMoveAndManyGoLast) {
    const RegionFacts regions[] = {
        {0, false, true, 50, 900, 0, 0},     {1, false, true, 10, 900, 800, 0},  // softly pinned
        {2, false, true, 20, 900, 100, 100},                                     // a few pins
        {3, false, true, 5, 900, 0, 501},                                        // must stay
        {4, false, true, 15, 900, 100, 400},  // hard pins to move
        {5, false, true, 30, 900, 0, 250},
    };
    EXPECT_THAT(chooseVictims(regions, kRegion, 100),
                ElementsAre(Victim{2, PinsToMove::kAll}, Victim{5, PinsToMove::kAll},
                            Victim{0, PinsToMove::kNone}, Victim{1, PinsToMove::kNone},
                            Victim{4, PinsToMove::kHard}));
}

// What a client that was killed has put into a region, the region does not count.
TEST(EvictionTest, PinsMoveOutOfARegionThatCountsNothing) {
    const RegionFacts regions[] = {{0, false, true, 10, 0, 0, 400},
                                   {1, false, true, 20, 0, 0, 200}};
    EXPECT_THAT(chooseVictims(regions, kRegion, 2),
                ElementsAre(Victim{1, PinsToMove::kAll}, Victim{0, PinsToMove::kHard}));
}

TEST(EvictionTest, TheReserveIsFilledUp) {
    std::vector<RegionFacts> regions(64);
    for (RegionIndex i = 0; i < 64; ++i) regions[i] = {i, false, true, i, 900, 0, 0};
    EXPECT_EQ(evictionsDue(regions, 0), 4u);
    EXPECT_EQ(evictionsDue(regions, 3), 1u);
    EXPECT_EQ(evictionsDue(regions, 9), 0u);
    regions[0].clean = regions[1].clean = true;
    EXPECT_EQ(evictionsDue(regions, 0), 2u);
    for (auto& region : regions) region.clean = true;
    EXPECT_EQ(evictionsDue(regions, 0), 0u);
}

TEST(EvictionTest, UsageIsWhatTheRegionsSay) {
    const RegionFacts regions[] = {
        {0, false, true, 30, 900, 100, 0},
        {1, false, true, 10, 700, 0, 600},
        {2, false, false, 1, 50, 0, 0},
        {3, true, false, 0, 0, 0, 0},
    };
    EXPECT_EQ(usageOf(regions, kRegion), (FileUsage{4, 1, 2, 1650, 700, 1}));
}

// Never one that must stay, never one twice, and never a younger one before an older one of its
// kind.
TEST(EvictionTest, HoldsForAnyRegions) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<RegionFacts> regions(1 + random() % 50);
        for (RegionIndex i = 0; i < regions.size(); ++i) {
            const uint64_t live = random() % 3 == 0 ? 0 : random() % kRegion;
            const uint64_t hard = random() % 3 == 0 ? random() % (live + 1) : 0;
            const uint64_t soft = random() % 3 == 0 ? random() % (live - hard + 1) : 0;
            const auto state = random() % 3;
            regions[i] = {i, state == 0, state == 1, random() % 20, live, soft, hard};
        }
        const auto victims = chooseVictims(regions, kRegion, regions.size());
        EXPECT_EQ(victims.size(), usageOf(regions, kRegion).evictable);
        std::vector<bool> gone(regions.size());
        const RegionFacts* before = nullptr;
        for (const Victim& victim : victims) {
            const RegionFacts& region = regions[victim.index];
            EXPECT_FALSE(gone[victim.index]);
            gone[victim.index] = true;
            EXPECT_TRUE(region.sealed);
            EXPECT_LE(region.hard_bytes, kRegion / 2);
            if (region.hard_bytes != 0) {
                EXPECT_NE(victim.move, PinsToMove::kNone);
            }
            const auto last = [](const RegionFacts& r) {
                return r.live_bytes != 0 && r.soft_bytes + r.hard_bytes > kRegion / 4;
            };
            if (before != nullptr) {
                EXPECT_LE(last(*before), last(region));
                if (last(*before) == last(region) && before->live_bytes != 0) {
                    EXPECT_LE(before->last_read, region.last_read);
                }
            }
            before = &region;
        }
        for (const RegionFacts& region : regions) {
            if (region.sealed && region.hard_bytes <= kRegion / 2) {
                EXPECT_TRUE(gone[region.index]);
            }
        }
    }
}

}  // namespace
}  // namespace mooncake::store
