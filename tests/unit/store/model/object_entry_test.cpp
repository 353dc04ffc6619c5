// SPDX-License-Identifier: Apache-2.0
#include "object_entry.h"

#include <gtest/gtest.h>

#include "entries.h"

namespace mooncake::store {
namespace {

TEST(ObjectEntryTest, RulesAreChecked) {
    EXPECT_TRUE(checkEntry(makeEntry()));
    const auto wrong = [](auto change) {
        ObjectEntry entry = makeEntry();
        change(entry);
        const auto checked = checkEntry(entry);
        return !checked && checked.error().failure == Failure::kInvalid;
    };
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.size = 0; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.size += 1; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.size -= 1; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.flags = 4; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.replicas.clear(); }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.replicas.emplace_back(); }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.replicas.resize(17, e.replicas.front()); }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.replicas[0][0].region.file = 0; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.replicas[0][0].generation = 0; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) { e.replicas[0][0].offset = ~uint64_t{0}; }));
    EXPECT_TRUE(wrong([](ObjectEntry& e) {
        // 2^64 and the size: adds up only for who does not look.
        e.replicas[0][0].length = ~uint64_t{0};
        e.replicas[0].push_back(makeExtent(1, 1, 1, 0, e.size + 1));
    }));
}

TEST(ObjectEntryTest, KeysHaveOneTo4096Bytes) {
    EXPECT_FALSE(checkKey(""));
    EXPECT_TRUE(checkKey(std::string(1, '\0')));
    EXPECT_TRUE(checkKey(std::string(4096, '\xff')));
    EXPECT_FALSE(checkKey(std::string(4097, 'k')));
}

TEST(ObjectEntryTest, ReplicasOfOlderGenerationsAreTakenOut) {
    ObjectEntry entry = makeEntry(1, 5, 3);
    entry.replicas.push_back(
        {makeExtent(2, 9, 4, 0, entry.size / 2), makeExtent(1, 6, 1, 0, entry.size / 2)});
    const ObjectEntry before = entry;
    EXPECT_FALSE(dropOlder(&entry, {1, 5}, 3)) << "of this generation";
    EXPECT_FALSE(dropOlder(&entry, {2, 5}, 9)) << "of another file";
    EXPECT_EQ(entry, before);
    EXPECT_TRUE(dropOlder(&entry, {1, 6}, 2)) << "its second extent";
    ASSERT_EQ(entry.replicas.size(), 1u);
    EXPECT_EQ(entry.replicas[0], before.replicas[0]);
    EXPECT_TRUE(dropOlder(&entry, {1, 5}, 4));
    EXPECT_TRUE(entry.replicas.empty());
}

TEST(ObjectEntryTest, ABadReplicaIsTakenOut) {
    ObjectEntry entry = makeEntry(1);
    entry.replicas.push_back(makeEntry(2).replicas[0]);
    const Replica bad = entry.replicas[1];
    Replica other = bad;
    other[0].checksum.high ^= 1;
    EXPECT_FALSE(dropReplica(&entry, other));
    EXPECT_TRUE(dropReplica(&entry, bad));
    EXPECT_EQ(entry, makeEntry(1));
    EXPECT_TRUE(touches(entry.replicas[0], {1, 1000}));
    EXPECT_FALSE(touches(entry.replicas[0], {1, 1001}));
}

}  // namespace
}  // namespace mooncake::store
