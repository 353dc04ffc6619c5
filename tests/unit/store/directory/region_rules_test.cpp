// SPDX-License-Identifier: Apache-2.0
#include "region_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mooncake::store {
namespace {

constexpr RegionId kRegion{3, 17};
constexpr ClientId kMe = 1, kOther = 2;

// What refuses says what it found.
TEST(RegionRulesTest, RefusalsNameTheRegionAndItsOwner) {
    const RegionRecord open{RegionState::kOpen, 5, kOther, 9, {}};
    const auto refused = sealedRegion(kRegion, open, 5, {}, kMe, true);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().failure, Failure::kConflict);
    EXPECT_THAT(refused.error().message,
                testing::AllOf(testing::HasSubstr("3/17"), testing::HasSubstr("is open"),
                               testing::HasSubstr("generation 5"), testing::HasSubstr("client 2")));
    EXPECT_FALSE(sealedRegion(kRegion, std::nullopt, 5, {}, kMe, false));
}

TEST(RegionRulesTest, OnlyTheOwnerOrWhoSurvivesItGoesOn) {
    const RegionRecord open{RegionState::kOpen, 5, kOther, 9, {}};
    const RegionRecord cleaning{RegionState::kCleaning, 6, kOther, 0, {}};
    EXPECT_TRUE(sealedRegion(kRegion, open, 5, {}, kOther, true));
    EXPECT_TRUE(sealedRegion(kRegion, open, 5, {}, kMe, false));
    EXPECT_FALSE(sealedRegion(kRegion, open, 6, {}, kMe, false));
    EXPECT_FALSE(cleaningRegion(kRegion, open, 5, kMe, false)) << "it has to be sealed first";
    EXPECT_FALSE(cleaningRegion(kRegion, cleaning, 5, kMe, true));
    const auto taken_over = cleaningRegion(kRegion, cleaning, 5, kMe, false);
    ASSERT_TRUE(taken_over && *taken_over);
    EXPECT_EQ((*taken_over)->generation, 6u);
    EXPECT_EQ((*taken_over)->owner, kMe);
    EXPECT_FALSE(cleaningRegion(kRegion, cleaning, 4, kMe, false));
    EXPECT_FALSE(cleanRegion(kRegion, cleaning, 6, kMe));
    EXPECT_TRUE(cleanRegion(kRegion, cleaning, 6, kOther));
}

}  // namespace
}  // namespace mooncake::store
