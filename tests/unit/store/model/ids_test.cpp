// SPDX-License-Identifier: Apache-2.0
#include "ids.h"

#include <gtest/gtest.h>

namespace mooncake::store {
namespace {

TEST(UuidTest, ReadsWhatItWrites) {
    Uuid uuid;
    for (size_t i = 0; i < uuid.bytes.size(); ++i) uuid.bytes[i] = static_cast<uint8_t>(i * 17);
    EXPECT_EQ(uuid.text(), "00112233-4455-6677-8899-aabbccddeeff");
    EXPECT_EQ(Uuid::parse(uuid.text()), uuid);
    EXPECT_EQ(Uuid::parse("00112233-4455-6677-8899-AABBCCDDEEFF"), uuid);
    for (const char* wrong :
         {"", "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
          "00112233-4455-6677-8899+aabbccddeeff", "0011223304455-6677-8899-aabbccddeeff",
          "g0112233-4455-6677-8899-aabbccddeeff"}) {
        EXPECT_FALSE(Uuid::parse(wrong)) << wrong;
    }
}

TEST(UuidTest, RandomOnesDiffer) {
    const Uuid one = Uuid::random();
    EXPECT_NE(one, Uuid::random());
    EXPECT_FALSE(one.isNull());
    EXPECT_EQ(one.text()[14], '4') << "version 4: " << one.text();
}

TEST(RegionIdTest, HasATextAndAnOrder) {
    EXPECT_EQ(toString(RegionId{3, 17}), "3/17");
    EXPECT_LT((RegionId{3, 17}), (RegionId{4, 0}));
    EXPECT_NE(std::hash<RegionId>()(RegionId{1, 2}), std::hash<RegionId>()(RegionId{2, 1}));
}

}  // namespace
}  // namespace mooncake::store
