// SPDX-License-Identifier: Apache-2.0
#include "placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace mooncake::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::map<FileNumber, int> countOf(std::span<const FileRoom> files, int times) {
    Placement placement(1);
    std::map<FileNumber, int> count;
    for (int i = 0; i < times; ++i) ++count[placement.choose(files, {}).at(0)];
    return count;
}

TEST(PlacementTest, ReplicasGoToDifferentNodes) {
    const FileRoom files[] = {{1, "a", 100, 50, 0, 0},
                              {2, "a", 100, 50, 0, 0},
                              {3, "b", 100, 50, 0, 0},
                              {4, "c", 100, 1, 0, 0}};
    std::map<FileNumber, std::string> nodes{{1, "a"}, {2, "a"}, {3, "b"}, {4, "c"}};
    Placement placement(1);
    for (int i = 0; i < 1000; ++i) {
        std::set<std::string> used;
        const auto chosen = placement.choose(files, {3, {}});
        ASSERT_THAT(chosen, SizeIs(3));
        for (const FileNumber file : chosen) used.insert(nodes[file]);
        EXPECT_THAT(used, SizeIs(3));
    }
    EXPECT_THAT(placement.choose(files, {5, {}}), SizeIs(3)) << "as many as there are";
}

TEST(PlacementTest, PreferredNodesComeFirstWhereTheyHaveRoom) {
    const FileRoom files[] = {{1, "a", 100, 50, 0, 0},
                              {2, "b", 100, 1, 0, 1 << 30},
                              {3, "c", 100, 0, 0, 0},
                              {4, "d", 100, 0, 1, 0}};
    Placement placement(1);
    const std::vector<std::string> two{"d", "b"};
    EXPECT_THAT(placement.choose(files, {1, two}), ElementsAre(4u));
    EXPECT_THAT(placement.choose(files, {3, two}), ElementsAre(4u, 2u, 1u));
    const std::vector<std::string> full{"c"};
    EXPECT_NE(placement.choose(files, {1, full}).at(0), 3u);
    const std::vector<std::string> unknown{"nobody"};
    EXPECT_THAT(placement.choose(files, {1, unknown}), SizeIs(1));
    const std::vector<std::string> twice{"b", "b"};
    EXPECT_THAT(placement.choose(files, {2, twice}), SizeIs(2));
    EXPECT_EQ(placement.choose(files, {2, twice}).at(0), 2u);
}

TEST(PlacementTest, NothingWhereEverythingMustStay) {
    const FileRoom files[] = {{1, "a", 100, 0, 0, 0}, {2, "b", 100, 0, 0, 0}};
    Placement placement(1);
    EXPECT_THAT(placement.choose(files, {}), IsEmpty());
    EXPECT_THAT(placement.choose({}, {}), IsEmpty());
}

TEST(PlacementTest, FreeSpaceDrawsMost) {
    const FileRoom files[] = {{1, "a", 160, 160, 0, 0}, {2, "b", 160, 10, 150, 0}};
    auto count = countOf(files, 10000);
    EXPECT_GT(count[1], 8000);
    EXPECT_GT(count[2], 500) << "a node that has just come has not all of it";
}

TEST(PlacementTest, AFullPoolIsUsedByTheSizeOfItsFiles) {
    const FileRoom files[] = {{1, "a", 3000, 32, 2968, 0}, {2, "b", 1000, 32, 968, 0}};
    auto count = countOf(files, 10000);
    EXPECT_NEAR(count[1], 7500, 300);
    EXPECT_NEAR(count[2], 2500, 300);
}

TEST(PlacementTest, ABusyFileGetsLess) {
    const FileRoom files[] = {{1, "a", 100, 50, 0, 64 << 20}, {2, "b", 100, 50, 0, 0}};
    auto count = countOf(files, 10000);
    // Only where both of the two that are drawn are the busy one.
    EXPECT_NEAR(count[1], 2500, 300);
}

TEST(PlacementTest, TheReserveIsSmall) {
    EXPECT_EQ(cleanReserve(3), 1u);
    EXPECT_EQ(cleanReserve(32), 2u);
    EXPECT_EQ(cleanReserve(512), 32u);
    EXPECT_EQ(cleanReserve(1 << 20), 32u);
}

}  // namespace
}  // namespace mooncake::store
