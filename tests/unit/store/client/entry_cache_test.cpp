// SPDX-License-Identifier: Apache-2.0
#include "entry_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace mooncake::store {
namespace {

EntryPtr entryOf(uint64_t size) {
    auto entry = std::make_shared<ObjectEntry>();
    entry->size = size;
    return entry;
}

TEST(EntryCacheTest, RemembersReplacesAndForgets) {
    EntryCache cache(100);
    EXPECT_EQ(cache.find("a"), nullptr);
    cache.put("a", entryOf(1), cache.mark());
    cache.put("b", entryOf(2), cache.mark());
    cache.put("a", entryOf(3), cache.mark());
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_EQ(cache.find("a")->size, 3u);
    cache.drop("a");
    cache.drop("a");
    EXPECT_EQ(cache.find("a"), nullptr);
    EXPECT_EQ(cache.find("b")->size, 2u);
    cache.clear();
    EXPECT_EQ(cache.size(), 0u);
    EXPECT_EQ(cache.find("b"), nullptr);
}

TEST(EntryCacheTest, KeepsWhatWasUsedLast) {
    EntryCache cache(160);
    for (int i = 0; i < 10000; ++i) {
        cache.put(std::to_string(i), entryOf(static_cast<uint64_t>(i)), cache.mark());
        if (i % 2 == 0) {
            ASSERT_NE(cache.find("0"), nullptr) << i;
        }
    }
    EXPECT_EQ(cache.size(), 160u);
    EXPECT_EQ(cache.find("9999")->size, 9999u);
    EXPECT_EQ(cache.find("1"), nullptr);
}

TEST(EntryCacheTest, IsWhatAMapIs) {
    constexpr size_t kKeys = 2000;
    EntryCache cache(2 * 16 * kKeys);  // no shard is full
    std::map<std::string, uint64_t> model;
    std::mt19937 random(1);
    for (int i = 0; i < 200000; ++i) {
        const std::string key = std::to_string(random() % kKeys);
        switch (random() % 3) {
            case 0:
                cache.put(key, entryOf(static_cast<uint64_t>(i)), cache.mark());
                model[key] = static_cast<uint64_t>(i);
                break;
            case 1:
                cache.drop(key);
                model.erase(key);
                break;
            default: {
                const auto entry = cache.find(key);
                const auto expected = model.find(key);
                ASSERT_EQ(entry != nullptr, expected != model.end()) << key;
                if (entry) {
                    ASSERT_EQ(entry->size, expected->second) << key;
                }
            }
        }
        ASSERT_EQ(cache.size(), model.size());
    }
}

// A get that began before a removal, or before a put of this client, must not bring back what was
// there then.
TEST(EntryCacheTest, WhatALookUpHasFoundReplacesNothingNewer) {
    EntryCache cache(100);
    uint64_t mark = cache.mark();
    cache.putFound("a", entryOf(1), mark);
    ASSERT_NE(cache.find("a"), nullptr);
    mark = cache.mark();
    cache.drop("a");
    cache.putFound("a", entryOf(1), mark);
    EXPECT_EQ(cache.find("a"), nullptr) << "removed meanwhile";
    mark = cache.mark();
    cache.put("a", entryOf(2), cache.mark());
    cache.putFound("a", entryOf(1), mark);
    EXPECT_EQ(cache.find("a")->size, 2u) << "replaced meanwhile";
    mark = cache.mark();
    cache.clear();
    cache.putFound("a", entryOf(2), mark);
    EXPECT_EQ(cache.find("a"), nullptr) << "all removed meanwhile";
    cache.putFound("a", entryOf(3), cache.mark());
    EXPECT_EQ(cache.find("a")->size, 3u);
}

// The directory has both; in which order, only it knows.
TEST(EntryCacheTest, OfACommitAndWhatCameMeanwhileNoneIsKept) {
    EntryCache cache(100);
    uint64_t mark = cache.mark();
    cache.put("a", entryOf(2), cache.mark());
    cache.put("a", entryOf(1), mark);
    EXPECT_EQ(cache.find("a"), nullptr) << "replaced meanwhile";
    mark = cache.mark();
    cache.drop("a");
    cache.put("a", entryOf(1), mark);
    EXPECT_EQ(cache.find("a"), nullptr) << "removed meanwhile";
    cache.put("a", entryOf(1), cache.mark());
    mark = cache.mark();
    cache.clear();
    cache.put("a", entryOf(2), mark);
    EXPECT_EQ(cache.find("a"), nullptr) << "all removed meanwhile";
    // Nor what was there before: the commit has replaced it.
    cache.put("a", entryOf(1), cache.mark());
    mark = cache.mark();
    for (int i = 0; i < 1000; ++i) cache.drop(std::to_string(i));  // some beside it
    cache.put("a", entryOf(2), mark);
    EXPECT_EQ(cache.find("a"), nullptr);
    // What was looked up before that may be of before.
    mark = cache.mark();
    const uint64_t commit = cache.mark();
    cache.put("a", entryOf(2), cache.mark());
    cache.put("a", entryOf(1), commit);
    cache.putFound("a", entryOf(1), mark);
    EXPECT_EQ(cache.find("a"), nullptr);
}

TEST(EntryCacheTest, NoneIsKeptWithoutRoom) {
    EntryCache cache(0);
    cache.put("a", entryOf(1), cache.mark());
    EXPECT_EQ(cache.find("a"), nullptr);
}

}  // namespace
}  // namespace mooncake::store
