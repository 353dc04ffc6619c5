// SPDX-License-Identifier: Apache-2.0
#include "key_order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace mooncake::store {
namespace {

std::vector<std::string> sorted(const std::vector<std::string>& keys) {
    std::vector<std::string> found;
    for (const size_t at : orderOf(keys)) found.push_back(keys.at(at));
    return found;
}

TEST(KeyOrderTest, NothingAndOneAreInOrder) {
    EXPECT_TRUE(orderOf({}).empty());
    EXPECT_EQ(sorted({"a"}), std::vector<std::string>{"a"});
}

TEST(KeyOrderTest, BytesAreWithoutASign) {
    EXPECT_THAT(sorted({"b", "a\xff", "\x7f", "\xff", "a"}),
                testing::ElementsAre("a", "a\xff", "b", "\x7f", "\xff"));
}

TEST(KeyOrderTest, AKeyThatOthersBeginWithComesFirst) {
    const std::string zero("ab\0", 3);
    EXPECT_THAT(sorted({"abc", zero, "ab", "abb"}), testing::ElementsAre("ab", zero, "abb", "abc"));
}

TEST(KeyOrderTest, MoreThanEightBytesDecideToo) {
    EXPECT_THAT(sorted({"x123456789b", "y", "x123456789a", "x123456789"}),
                testing::ElementsAre("x123456789", "x123456789a", "x123456789b", "y"));
}

TEST(KeyOrderTest, IsTheOrderOfTheBytes) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 200; ++round) {
        std::vector<std::string> keys(random() % 40);
        for (std::string& key : keys) {
            key = std::string(random() % 12, 'p');
            for (size_t i = random() % 12; i > 0; --i) key += static_cast<char>(random() % 3 * 127);
        }
        auto expected = keys;
        std::sort(expected.begin(), expected.end());
        EXPECT_EQ(sorted(keys), expected);
    }
}

}  // namespace
}  // namespace mooncake::store
