// SPDX-License-Identifier: Apache-2.0
#include "key_value_store.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mooncake {
namespace {

using SetResult = KeyValueStore::SetResult;

TEST(KeyValueStoreTest, HoldsWhatIsSet) {
    KeyValueStore store({});
    EXPECT_EQ(store.get("a"), std::nullopt);
    EXPECT_EQ(store.set("a", "1"), SetResult::kStored);
    EXPECT_EQ(store.set("b", std::string("\0\xff", 2)), SetResult::kStored);
    EXPECT_EQ(store.get("a"), "1");
    EXPECT_EQ(store.get("b"), std::string("\0\xff", 2));
    EXPECT_EQ(store.set("a", ""), SetResult::kStored);
    EXPECT_EQ(store.get("a"), "");
    EXPECT_EQ(store.size(), 2u);
    EXPECT_TRUE(store.remove("a"));
    EXPECT_FALSE(store.remove("a"));
    EXPECT_EQ(store.get("a"), std::nullopt);
}

// Case 46: an address may be set again, also to another value.
TEST(KeyValueStoreTest, ReplacesAnAddress) {
    KeyValueStore store({});
    EXPECT_EQ(store.set("mooncake/rpc_meta/node", "before the crash"), SetResult::kStored);
    EXPECT_EQ(store.set("mooncake/rpc_meta/node", "before the crash"), SetResult::kStored);
    EXPECT_EQ(store.set("mooncake/rpc_meta/node", "after it"), SetResult::kStored);
    EXPECT_EQ(store.get("mooncake/rpc_meta/node"), "after it");
}

TEST(KeyValueStoreTest, KeepsToItsLimits) {
    KeyValueStore store({.key_bytes = 3, .value_bytes = 4, .keys = 2});
    EXPECT_EQ(store.set("", "1"), SetResult::kBadKey);
    EXPECT_EQ(store.set("abcd", "1"), SetResult::kBadKey);
    EXPECT_EQ(store.set("abc", "12345"), SetResult::kValueTooLarge);
    EXPECT_EQ(store.set("abc", "1234"), SetResult::kStored);
    EXPECT_EQ(store.set("b", "1"), SetResult::kStored);
    EXPECT_EQ(store.set("c", "1"), SetResult::kFull);
    EXPECT_EQ(store.set("b", "2"), SetResult::kStored) << "a full store takes replacements";
    EXPECT_TRUE(store.remove("abc"));
    EXPECT_EQ(store.set("c", "1"), SetResult::kStored);
}

TEST(KeyValueStoreTest, ServesManyThreads) {
    KeyValueStore store({});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&store, t] {
            for (int i = 0; i < 500; ++i) {
                const std::string key = "own" + std::to_string(t);
                EXPECT_EQ(store.set(key, std::to_string(i)), SetResult::kStored);
                EXPECT_EQ(store.get(key), std::to_string(i));
                EXPECT_EQ(store.set("shared", "x"), SetResult::kStored);
                store.remove("shared");
            }
        });
    }
    for (auto& thread : threads) thread.join();
    store.remove("shared");
    EXPECT_EQ(store.size(), 4u);
}

}  // namespace
}  // namespace mooncake
