// SPDX-License-Identifier: Apache-2.0
#include "key_value_store.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>
#include <vector>

#include "preconditions.h"

namespace mooncake {
namespace {

using SetResult = KeyValueStore::SetResult;
using RemoveResult = KeyValueStore::RemoveResult;

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
    EXPECT_EQ(store.remove("a"), RemoveResult::kRemoved);
    EXPECT_EQ(store.remove("a"), RemoveResult::kMissing);
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

// A tag stands for one state of one entry, also where the same bytes come again.
TEST(KeyValueStoreTest, EachStateHasATagOfItsOwn) {
    KeyValueStore store({}), successor({});
    std::set<std::string> tags;
    for (KeyValueStore* one : {&store, &store, &successor}) {
        std::string set, got;
        ASSERT_EQ(one->set("a", "1", nullptr, &set), SetResult::kStored);
        ASSERT_EQ(one->get("a", &got), "1");
        EXPECT_EQ(set, got);
        EXPECT_TRUE(tags.insert(set).second) << set;
    }
}

TEST(KeyValueStoreTest, ChangesNothingWhereTheConditionFails) {
    KeyValueStore store({});
    const auto absent = [](const std::string* tag) { return tag == nullptr; };
    EXPECT_EQ(store.set("a", "1", absent), SetResult::kStored);
    EXPECT_EQ(store.set("a", "2", absent), SetResult::kConditionFails);
    EXPECT_EQ(store.remove("a", absent), RemoveResult::kConditionFails);
    std::string seen;
    EXPECT_EQ(store.get("a", &seen), "1");
    const auto as_seen = [&](const std::string* tag) { return tag != nullptr && *tag == seen; };
    EXPECT_EQ(store.set("a", "3", as_seen), SetResult::kStored);
    EXPECT_EQ(store.set("a", "4", as_seen), SetResult::kConditionFails);
    EXPECT_EQ(store.remove("a", as_seen), RemoveResult::kConditionFails);
    EXPECT_EQ(store.get("a", &seen), "3");
    EXPECT_EQ(store.remove("a", as_seen), RemoveResult::kRemoved);
    EXPECT_EQ(store.remove("a", as_seen), RemoveResult::kConditionFails);
    EXPECT_EQ(store.remove("a", absent), RemoveResult::kMissing);
}

// RFC 9110, 13.1
TEST(PreconditionsTest, ReadsTheHeaders) {
    const std::string tag = "x,1";
    const struct {
        std::vector<std::string> match, none;
        bool with_tag, without;
    } cases[] = {
        {{"\"x,1\""}, {}, true, false},
        {{"\"x,2\", \"x,1\""}, {}, true, false},
        {{"\"x,2\"", "\"x,1\""}, {}, true, false},
        {{"\"x\""}, {}, false, false},
        {{"W/\"x,1\""}, {}, false, false},
        {{"*"}, {}, true, false},
        {{"x,1"}, {}, false, false},
        {{""}, {}, false, false},
        {{"\"x,1"}, {}, false, false},
        {{}, {"*"}, false, true},
        {{}, {"\"x,1\""}, false, true},
        {{}, {"W/\"x,1\""}, false, true},
        {{}, {"\"x,2\""}, true, true},
        {{"*"}, {"\"x,1\""}, false, false},
    };
    for (const auto& one : cases) {
        const auto condition = preconditionsFrom(one.match, one.none);
        ASSERT_TRUE(condition);
        const std::string what =
            testing::PrintToString(one.match) + testing::PrintToString(one.none);
        EXPECT_EQ(condition(&tag), one.with_tag) << what;
        EXPECT_EQ(condition(nullptr), one.without) << what;
    }
    EXPECT_FALSE(preconditionsFrom({}, {})) << "nothing is asked for";
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
    EXPECT_EQ(store.remove("abc"), RemoveResult::kRemoved);
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
