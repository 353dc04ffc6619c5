// SPDX-License-Identifier: Apache-2.0
#include "rebuild.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mooncake::store {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TableRecord part(const std::string& key, uint64_t put, uint64_t size, uint32_t replica,
                 uint64_t offset, uint32_t length, uint64_t time = 5) {
    return {key, put, size, kSoftPin, time, replica, offset, 3, length, {put, offset}};
}

TEST(RebuildTest, PartsOfSeveralRegionsMakeAnEntry) {
    Rebuild rebuild;
    rebuild.add(2, 9, 4, {part("b", 1, 300, 0, 200, 100)});
    rebuild.add(1, 8, 3, {part("b", 1, 300, 0, 0, 200), part("a", 2, 50, 0, 0, 50)});
    const auto objects = rebuild.objects();
    ASSERT_THAT(objects, SizeIs(2));
    EXPECT_EQ(objects[0].key, "a");
    EXPECT_EQ(objects[1].key, "b");
    const ObjectEntry expected{
        300,
        kSoftPin,
        5,
        {{{{1, 8}, 3, 3 * kBlockBytes, 200, {1, 0}}, {{2, 9}, 4, 3 * kBlockBytes, 100, {1, 200}}}}};
    EXPECT_EQ(objects[1].entry, expected);
}

TEST(RebuildTest, WhatIsNotWholeDoesNotCount) {
    Rebuild rebuild;
    rebuild.add(1, 1, 1,
                {part("gap", 1, 300, 0, 0, 100), part("gap", 1, 300, 0, 200, 100),
                 part("end", 2, 300, 0, 0, 200), part("begin", 3, 300, 0, 100, 200),
                 part("second", 4, 300, 0, 0, 100), part("second", 4, 300, 1, 0, 300)});
    const auto objects = rebuild.objects();
    ASSERT_THAT(objects, SizeIs(1));
    EXPECT_EQ(objects[0].key, "second");
    EXPECT_THAT(objects[0].entry.replicas, SizeIs(1));
}

TEST(RebuildTest, ReplicasComeTogetherAndPutsDoNot) {
    Rebuild rebuild;
    rebuild.add(1, 1, 1, {part("k", 1, 100, 0, 0, 100, 7), part("k", 2, 200, 0, 0, 200, 9)});
    rebuild.add(2, 1, 1, {part("k", 1, 100, 1, 0, 100, 7), part("k", 3, 300, 0, 0, 200, 11)});
    auto objects = rebuild.objects();
    ASSERT_THAT(objects, SizeIs(1));
    EXPECT_EQ(objects[0].entry.size, 200u) << "the newest that is whole";
    EXPECT_THAT(objects[0].entry.replicas, SizeIs(1));
    rebuild.add(3, 1, 1, {part("k", 4, 100, 0, 0, 100, 20), part("k", 4, 100, 1, 0, 100, 20)});
    objects = rebuild.objects();
    EXPECT_THAT(objects[0].entry.replicas, SizeIs(2));
}

TEST(RebuildTest, WhatNoEntryCouldSayIsLeftOut) {
    Rebuild rebuild;
    TableRecord strange = part("k", 1, 100, 0, 0, 100);
    strange.flags = 0x80;
    rebuild.add(1, 1, 1,
                {strange, part("twice", 1, 100, 0, 0, 100), part("twice", 1, 100, 0, 0, 100)});
    const auto objects = rebuild.objects();
    ASSERT_THAT(objects, SizeIs(1));
    EXPECT_EQ(objects[0].key, "twice");
    EXPECT_THAT(objects[0].entry.replicas[0], SizeIs(1));
}

}  // namespace
}  // namespace mooncake::store
