// SPDX-License-Identifier: Apache-2.0
#include "key_value_store.h"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "preconditions.h"

namespace mooncake {
namespace {

using SetResult = KeyValueStore::SetResult;
using RemoveResult = KeyValueStore::RemoveResult;

std::optional<std::string> valueOf(const KeyValueStore& store, const std::string& key,
                                   std::string* tag = nullptr) {
    const KeyValueStore::Value value = store.get(key, tag);
    return value ? std::optional(*value) : std::nullopt;
}

TEST(KeyValueStoreTest, HoldsWhatIsSet) {
    KeyValueStore store({});
    EXPECT_EQ(valueOf(store, "a"), std::nullopt);
    EXPECT_EQ(store.set("a", "1"), SetResult::kStored);
    EXPECT_EQ(store.set("b", std::string("\0\xff", 2)), SetResult::kStored);
    EXPECT_EQ(valueOf(store, "a"), "1");
    EXPECT_EQ(valueOf(store, "b"), std::string("\0\xff", 2));
    EXPECT_EQ(store.set("a", ""), SetResult::kStored);
    EXPECT_EQ(valueOf(store, "a"), "");
    EXPECT_EQ(store.size(), 2u);
    EXPECT_EQ(store.remove("a"), RemoveResult::kRemoved);
    EXPECT_EQ(store.remove("a"), RemoveResult::kMissing);
    EXPECT_EQ(valueOf(store, "a"), std::nullopt);
}

// Case 46: an address may be set again, also to another value.
TEST(KeyValueStoreTest, ReplacesAnAddress) {
    KeyValueStore store({});
    EXPECT_EQ(store.set("mooncake/rpc_meta/node", "before the crash"), SetResult::kStored);
    EXPECT_EQ(store.set("mooncake/rpc_meta/node", "before the crash"), SetResult::kStored);
    EXPECT_EQ(store.set("mooncake/rpc_meta/node", "after it"), SetResult::kStored);
    EXPECT_EQ(valueOf(store, "mooncake/rpc_meta/node"), "after it");
}

// A tag stands for one state of one entry, also where the same bytes come again.
TEST(KeyValueStoreTest, EachStateHasATagOfItsOwn) {
    KeyValueStore store({}), successor({});
    std::set<std::string> tags;
    for (KeyValueStore* one : {&store, &store, &successor}) {
        std::string set, got;
        ASSERT_EQ(one->set("a", "1", nullptr, &set), SetResult::kStored);
        ASSERT_EQ(valueOf(*one, "a", &got), "1");
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
    EXPECT_EQ(valueOf(store, "a", &seen), "1");
    const auto as_seen = [&](const std::string* tag) { return tag != nullptr && *tag == seen; };
    EXPECT_EQ(store.set("a", "3", as_seen), SetResult::kStored);
    EXPECT_EQ(store.set("a", "4", as_seen), SetResult::kConditionFails);
    EXPECT_EQ(store.remove("a", as_seen), RemoveResult::kConditionFails);
    EXPECT_EQ(valueOf(store, "a", &seen), "3");
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

TEST(KeyValueStoreTest, HoldsSoManyBytesAndNoMore) {
    KeyValueStore store({.total_bytes = 10000});
    EXPECT_EQ(store.set("a", std::string(4000, 'a')), SetResult::kStored);
    EXPECT_EQ(store.set("b", std::string(4000, 'b')), SetResult::kStored);
    const size_t full = store.bytes();
    EXPECT_GE(full, 8002u);
    EXPECT_LE(full, 10000u);
    EXPECT_EQ(store.set("c", std::string(4000, 'c')), SetResult::kNoSpace);
    EXPECT_EQ(store.set("a", std::string(8000, 'a')), SetResult::kNoSpace);
    EXPECT_EQ(valueOf(store, "a"), std::string(4000, 'a')) << "a refused value changes nothing";
    EXPECT_EQ(store.bytes(), full);
    EXPECT_EQ(store.set("a", std::string(4000, 'x')), SetResult::kStored);
    EXPECT_EQ(store.bytes(), full);
    EXPECT_EQ(store.set("a", ""), SetResult::kStored);
    EXPECT_EQ(store.bytes(), full - 4000);
    EXPECT_EQ(store.set("c", std::string(4000, 'c')), SetResult::kStored);
    for (const char* key : {"a", "b", "c"}) EXPECT_EQ(store.remove(key), RemoveResult::kRemoved);
    EXPECT_EQ(store.bytes(), 0u);
    // Without values they have a size, too.
    SetResult result = SetResult::kStored;
    for (int i = 0; i < 10000 && result == SetResult::kStored; ++i) {
        result = store.set(std::to_string(i), "");
    }
    EXPECT_EQ(result, SetResult::kNoSpace);
    EXPECT_LE(store.bytes(), 10000u);
}

TEST(KeyValueStoreTest, SaysWhetherAnythingHasChanged) {
    KeyValueStore store({});
    bool changed = false;
    store.set("a", "", nullptr, nullptr, &changed);
    EXPECT_TRUE(changed);
    store.set("a", "", nullptr, nullptr, &changed);
    EXPECT_FALSE(changed);
    store.set("a", "1", nullptr, nullptr, &changed);
    EXPECT_TRUE(changed);
}

// What somebody is reading stays what it was.
TEST(KeyValueStoreTest, AValueIsSharedWithItsReaders) {
    KeyValueStore store({});
    store.set("a", "before");
    const auto value = store.get("a");
    EXPECT_EQ(value, store.get("a")) << "and not copied";
    store.set("a", "after");
    store.remove("a");
    EXPECT_EQ(*value, "before");
}

TEST(KeyValueStoreTest, ListsItsKeysInParts) {
    KeyValueStore store({});
    for (const char* key : {"b/2", "a", "b/1", "b", "b/3", "c"}) store.set(key, key);
    const auto keys = [&](const std::string& prefix, const std::string& after, size_t limit) {
        std::string text;
        for (const auto& one : store.list(prefix, after, limit)) {
            text += one.key + ":" + std::to_string(one.bytes) + " ";
        }
        return text;
    };
    EXPECT_EQ(keys("", "", 10), "a:1 b:1 b/1:3 b/2:3 b/3:3 c:1 ");
    EXPECT_EQ(keys("", "", 2), "a:1 b:1 ");
    EXPECT_EQ(keys("", "b", 2), "b/1:3 b/2:3 ");
    EXPECT_EQ(keys("b/", "", 10), "b/1:3 b/2:3 b/3:3 ");
    EXPECT_EQ(keys("b/", "a", 10), "b/1:3 b/2:3 b/3:3 ");
    EXPECT_EQ(keys("b/", "b/2", 10), "b/3:3 ");
    EXPECT_EQ(keys("b/", "c", 10), "");
    EXPECT_EQ(keys("x", "", 10), "");
}

TEST(KeyValueStoreTest, ServesManyThreads) {
    KeyValueStore store({});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&store, t] {
            for (int i = 0; i < 500; ++i) {
                const std::string key = "own" + std::to_string(t);
                EXPECT_EQ(store.set(key, std::to_string(i)), SetResult::kStored);
                EXPECT_EQ(valueOf(store, key), std::to_string(i));
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
