// SPDX-License-Identifier: Apache-2.0
#include "record_codec.h"

#include <gtest/gtest.h>

namespace mooncake::store {
namespace {

template <class Decode>
void expectNoOther(const std::string& good, const Decode& decode) {
    for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode(good.substr(0, size)));
    EXPECT_FALSE(decode(good + '\0'));
    std::string other = good;
    other[0] = 2;
    EXPECT_FALSE(decode(other)) << "another version";
}

TEST(RecordCodecTest, Files) {
    FileRecord record;
    record.description = {Uuid::random(), uint64_t{1} << 40, 64 << 20, 16384, true};
    record.state = FileState::kGivenUp;
    const std::string bytes = encodeFile(record);
    const auto read = decodeFile(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->description, record.description);
    EXPECT_EQ(read->state, record.state);
    expectNoOther(bytes, decodeFile);
    std::string wrong = bytes;
    wrong.back() = 3;
    EXPECT_FALSE(decodeFile(wrong)) << "no such state";
}

TEST(RecordCodecTest, Mounts) {
    const Mount mount{uint64_t{1} << 62, "node", "node:1", 7, "/dev/x"};
    const std::string bytes = encodeMount(mount);
    EXPECT_EQ(decodeMount(bytes), mount);
    expectNoOther(bytes, decodeMount);
}

TEST(RecordCodecTest, Regions) {
    const RegionRecord record{RegionState::kOpen, 3, 4, 5, {6, 7}};
    const std::string bytes = encodeRegion(record);
    const auto read = decodeRegion(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(encodeRegion(*read), bytes);
    EXPECT_EQ(read->with({1, 2}, 8), (Region{{1, 2}, RegionState::kOpen, 3, 4, {6, 7}, 8}));
    expectNoOther(bytes, decodeRegion);
    std::string wrong = bytes;
    wrong[1] = 5;
    EXPECT_FALSE(decodeRegion(wrong)) << "no such state";
}

}  // namespace
}  // namespace mooncake::store
