// SPDX-License-Identifier: Apache-2.0
#include "geometry.h"

#include <gtest/gtest.h>

namespace mooncake::store {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(GeometryTest, RegionsAreAsLargeAsLeavesEnoughOfThem) {
    const struct {
        uint64_t file_mib;
        uint64_t region_mib;
        uint32_t regions;
    } cases[] = {
        {9, 4, 2},         {16, 4, 3},           {1 + 32 * 4, 4, 32},
        {32 * 8, 4, 63},   {1 + 32 * 8, 8, 32},  {1 + 32 * 64, 64, 32},
        {32 * 64, 32, 63}, {1 << 20, 64, 16383},
    };
    for (const auto& c : cases) {
        const auto geometry = Geometry::of(c.file_mib * kMiB);
        ASSERT_TRUE(geometry) << c.file_mib;
        EXPECT_EQ(geometry->region_bytes, c.region_mib * kMiB) << c.file_mib;
        EXPECT_EQ(geometry->regions, c.regions) << c.file_mib;
    }
}

TEST(GeometryTest, EveryRegionLiesWithinTheFile) {
    for (uint64_t size = 9 * kMiB; size < 4096 * kMiB; size += size / 7 + 4097) {
        const auto geometry = Geometry::of(size);
        ASSERT_TRUE(geometry) << size;
        EXPECT_LE(geometry->end(), size);
        EXPECT_GT(geometry->end() + geometry->region_bytes, size) << "one more would fit";
        EXPECT_EQ(geometry->offsetOf(0), kMiB);
        EXPECT_EQ(geometry->offsetOf(1), kMiB + geometry->region_bytes);
        EXPECT_EQ(geometry->offsetOf(geometry->regions - 1) % kMiB, 0u);
    }
}

TEST(GeometryTest, WhatIsTooSmallOrTooLargeIsRefused) {
    for (const uint64_t size : {uint64_t{0}, kMiB, 9 * kMiB - 1}) {
        const auto geometry = Geometry::of(size);
        ASSERT_FALSE(geometry);
        EXPECT_EQ(geometry.error().failure, Failure::kInvalid);
        EXPECT_NE(geometry.error().message.find("use 9437184 or more"), std::string::npos);
    }
    EXPECT_FALSE(Geometry::of(UINT64_MAX));
    EXPECT_EQ(Geometry::of((uint64_t{UINT32_MAX} << 26) + kMiB)->regions, UINT32_MAX);
}

}  // namespace
}  // namespace mooncake::store
