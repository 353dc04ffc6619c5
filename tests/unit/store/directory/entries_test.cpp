// SPDX-License-Identifier: Apache-2.0
// What every directory promises of the entries of objects.
#include <gmock/gmock.h>

#include <set>
#include <string>
#include <vector>

#include "directory_fixture.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::ElementsAre;
using When = Change::When;

TEST_P(DirectoryTest, AnEntryIsSetOnceAndStays) {
    Node one(address(), "a"), other(address(), "b");
    const Region mine = one.take(), theirs = other.take();
    const std::string key("k\0\xff/..", 6);
    EXPECT_FALSE(other.get(key));
    EXPECT_EQ(one.put(key, entryIn(mine)), ChangeOutcome::kDone);
    EXPECT_EQ(other.get(key), entryIn(mine));
    EXPECT_EQ(one.put(key, entryIn(mine)), ChangeOutcome::kDone) << "the same call again";
    EXPECT_EQ(one.put(key, entryIn(mine, 4096)), ChangeOutcome::kExists);
    EXPECT_EQ(other.put(key, entryIn(theirs)), ChangeOutcome::kExists);
    EXPECT_EQ(one.get(key), entryIn(mine));
    EXPECT_THAT(*one.directory->exists({key, "none", key}, nullptr, soon()),
                ElementsAre(true, false, true));
    EXPECT_THAT(*one.directory->remove({"none", key}, soon()), ElementsAre(false, true));
    EXPECT_FALSE(other.get(key));
    EXPECT_THAT(*other.directory->exists({key}, nullptr, soon()), ElementsAre(false));
    EXPECT_TRUE(other.directory->list("", "", 10, soon())->objects.empty());
    EXPECT_EQ(other.put(key, entryIn(theirs)), ChangeOutcome::kDone);
    const auto numbers = one.directory->statistics();
    EXPECT_EQ(numbers.changed, 2u);
    EXPECT_EQ(numbers.refused, 1u);
    EXPECT_EQ(numbers.removed, 1u);
    EXPECT_EQ(numbers.grouped, 3u);
}

TEST_P(DirectoryTest, KeysHaveAnyBytesUpTo4096) {
    Node one(address());
    const Region region = one.take();
    std::vector<Change> changes;
    std::vector<std::string> keys;
    for (int byte = 0; byte < 256; ++byte) keys.emplace_back(1, static_cast<char>(byte));
    keys.emplace_back(4096, '\xff');
    keys.emplace_back(4096, '\0');
    keys.emplace_back(4095, '\0');
    for (size_t i = 0; i < keys.size(); ++i) {
        changes.push_back({keys[i], entryIn(region, i * 4096), When::kAbsent});
    }
    const auto outcomes = one.directory->commit(changes, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
    const auto found = one.directory->lookup(keys, soon());
    ASSERT_DONE(found);
    for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(found->at(i), changes[i].entry);
    EXPECT_FAILS(one.directory->commit({{"", entryIn(region)}}, soon()), Failure::kInvalid);
    EXPECT_FAILS(one.directory->commit({{std::string(4097, 'k'), entryIn(region)}}, soon()),
                 Failure::kInvalid);
    EXPECT_FAILS(one.directory->commit({{"k", ObjectEntry()}}, soon()), Failure::kInvalid);
    EXPECT_TRUE(one.directory->commit({}, soon())->empty());
    EXPECT_TRUE(one.directory->lookup({}, soon())->empty());
    EXPECT_TRUE(one.directory->exists({}, nullptr, soon())->empty());
    EXPECT_TRUE(one.directory->remove({}, soon())->empty());
    EXPECT_THAT(*one.directory->exists({"", std::string(4097, 'k')}, nullptr, soon()),
                ElementsAre(false, false));
}

TEST_P(DirectoryTest, ReplicasLieInSeveralFiles) {
    Node one(address(), "a"), other(address(), "b");
    const Region here = one.take();
    const auto there = one.directory->takeRegion(other.file, soon());
    ASSERT_DONE(there);
    ObjectEntry entry = entryIn(here);
    entry.replicas.push_back(entryIn(*there).replicas[0]);
    EXPECT_EQ(one.put("key", entry), ChangeOutcome::kDone);
    EXPECT_EQ(other.get("key"), entry);
    EXPECT_DONE(other.directory->dropReplica("key", entry.replicas[0], soon()));
    ObjectEntry left = entry;
    left.replicas.erase(left.replicas.begin());
    EXPECT_EQ(one.get("key"), left);
    EXPECT_DONE(other.directory->dropReplica("key", entry.replicas[0], soon())) << "again";
    EXPECT_EQ(one.get("key"), left);
    EXPECT_DONE(other.directory->dropReplica("key", entry.replicas[1], soon()));
    EXPECT_FALSE(one.get("key"));
}

TEST_P(DirectoryTest, AnObjectMayLieInManyRegions) {
    Node one(address(), "a"), other(address(), "b");
    const ObjectEntry entry = entryInMany(one, 150);
    EXPECT_EQ(other.put("key", entry), ChangeOutcome::kRegionLost) << "they are another's";
    // Beside others of the same commit.
    const Region region = one.take();
    const auto outcomes = one.directory->commit(
        {{"before", entryIn(region)}, {"key", entry}, {"after", entryIn(region, 4096)}}, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
    EXPECT_EQ(other.get("key"), entry);
    EXPECT_EQ(one.put("key", entry), ChangeOutcome::kDone) << "the same call again";
    ObjectEntry later = entry;
    ++later.time_ms;
    EXPECT_EQ(one.put("key", later), ChangeOutcome::kExists);
    EXPECT_EQ(one.put("key", later, When::kAlways), ChangeOutcome::kDone);
    EXPECT_EQ(other.get("key"), later);
}

TEST_P(DirectoryTest, AnEntryIsReplacedIfItIsWhatWasSeen) {
    Node one(address(), "a"), other(address(), "b");
    const Region mine = one.take(), theirs = other.take();
    const ObjectEntry first = entryIn(mine), moved = entryIn(theirs);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, first), ChangeOutcome::kChanged);
    ASSERT_EQ(one.put("key", first), ChangeOutcome::kDone);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, entryIn(mine, 8192)),
              ChangeOutcome::kChanged);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, first), ChangeOutcome::kDone);
    EXPECT_EQ(other.put("key", moved, When::kUnchanged, first), ChangeOutcome::kDone) << "again";
    // What it had may lie in regions of others.
    ObjectEntry both = moved;
    both.replicas.push_back(entryIn(mine, 4096).replicas[0]);
    EXPECT_EQ(one.put("key", both, When::kUnchanged, moved), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("key"), both);
    EXPECT_EQ(one.put("key", first, When::kAlways), ChangeOutcome::kDone);
    EXPECT_EQ(one.put("new", first, When::kAlways), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("key"), first);
}

TEST_P(DirectoryTest, APutReplacesWhatNobodyCanRead) {
    Node one(address(), "a");
    ObjectEntry lost, half;
    {
        Node other(address(), "b");
        const auto there = one.directory->takeRegion(other.file, soon());
        ASSERT_DONE(there);
        lost = entryIn(*there);
        half = entryIn(*there, 4096);
        half.replicas.push_back(entryIn(one.take(), 4096).replicas[0]);
        ASSERT_EQ(one.put("lost", lost), ChangeOutcome::kDone);
        ASSERT_EQ(one.put("half", half), ChangeOutcome::kDone);
        EXPECT_FAILS(one.directory->giveUpFile(other.file, soon()), Failure::kConflict);
    }
    const Region mine = one.take();
    EXPECT_EQ(one.put("lost", entryIn(mine)), ChangeOutcome::kExists) << "it may come back";
    EXPECT_DONE(one.directory->giveUpFile(lost.replicas[0][0].region.file, soon()));
    EXPECT_EQ(one.put("lost", entryIn(mine)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("lost"), entryIn(mine));
    EXPECT_EQ(one.put("half", entryIn(mine, 4096)), ChangeOutcome::kExists) << "one replica lives";
    // Evicted, and its entry is not removed yet.
    EXPECT_DONE(one.directory->sealRegion(mine.id, 1, {}, soon()));
    const Region next = one.take();
    EXPECT_EQ(one.put("lost", entryIn(next)), ChangeOutcome::kExists);
    EXPECT_DONE(one.directory->beginClean(mine.id, 1, soon()));
    EXPECT_EQ(one.put("lost", entryIn(next)), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("lost"), entryIn(next));
}

TEST_P(DirectoryTest, AKeyTwiceInOneCall) {
    Node one(address());
    const Region region = one.take();
    const auto outcomes = one.directory->commit({{"key", entryIn(region)},
                                                 {"other", entryIn(region, 4096)},
                                                 {"key", entryIn(region, 8192)},
                                                 {"key", entryIn(region)}},
                                                soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, ElementsAre(ChangeOutcome::kDone, ChangeOutcome::kDone,
                                       ChangeOutcome::kExists, ChangeOutcome::kDone));
    EXPECT_EQ(one.get("key"), entryIn(region));
    EXPECT_THAT(*one.directory->remove({"key", "key"}, soon()), ElementsAre(true, false));
}

TEST_P(DirectoryTest, LargeEntries) {
    Node one(address());
    const Region region = one.take();
    ObjectEntry entry;
    entry.time_ms = 1;
    for (uint64_t i = 0; i < 10000; ++i) {
        if (i % 5000 == 0) entry.replicas.emplace_back();
        entry.replicas.back().push_back(
            makeExtent(region.id.file, region.id.index, region.generation, i * 400, 400));
    }
    entry.size = 5000 * 400;
    EXPECT_EQ(one.put("large", entry), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("large"), entry);
    ObjectEntry larger = entry;
    for (int i = 0; i < 10; ++i) larger.replicas.push_back(entry.replicas[0]);
    EXPECT_FAILS(one.directory->commit({{"larger", larger}}, soon()), Failure::kInvalid);
    // Several that do not fit into one request.
    std::vector<Change> changes;
    for (int i = 0; i < 6; ++i) changes.push_back({"large" + std::to_string(i), entry});
    const auto outcomes = one.directory->commit(changes, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
}

TEST_P(DirectoryTest, ListsInPages) {
    Node one(address());
    const Region region = one.take();
    std::vector<Change> changes;
    for (const std::string& key : {std::string("a"), std::string("b"), std::string("b\0", 2),
                                   std::string("b\xff"), std::string("b\xff\xff"), std::string("c"),
                                   std::string("\xff"), std::string("\xff\xff")}) {
        changes.push_back({key, entryIn(region, changes.size())});
    }
    ASSERT_DONE(one.directory->commit(changes, soon()));
    const auto all = [&](const std::string& prefix, size_t limit) {
        std::vector<std::string> keys;
        std::string from;
        do {
            const auto page = one.directory->list(prefix, from, limit, soon());
            EXPECT_TRUE(page) << page.error().message;
            EXPECT_LE(page->objects.size(), limit);
            for (const auto& [key, entry] : page->objects) {
                for (const Change& change : changes) {
                    if (change.key != key) continue;
                    EXPECT_EQ(change.entry, entry);
                }
                keys.push_back(key);
            }
            from = page->next;
        } while (!from.empty());
        return keys;
    };
    for (const size_t limit : {1, 2, 3, 1000}) {
        EXPECT_EQ(all("", limit).size(), changes.size()) << limit;
        EXPECT_THAT(all("b", limit), ElementsAre("b", std::string("b\0", 2), "b\xff", "b\xff\xff"));
        EXPECT_THAT(all("b\xff", limit), ElementsAre("b\xff", "b\xff\xff"));
        EXPECT_THAT(all("\xff", limit), ElementsAre("\xff", "\xff\xff"));
        EXPECT_THAT(all("d", limit), ElementsAre());
    }
    const auto removed = one.directory->removeMatching(
        "b", [](std::string_view key, const ObjectEntry&) { return key.size() == 2; }, soon());
    ASSERT_DONE(removed);
    EXPECT_EQ(*removed, 2u);
    EXPECT_THAT(all("b", 10), ElementsAre("b", "b\xff\xff"));
    EXPECT_EQ(*one.directory->removeMatching(
                  "", [](std::string_view, const ObjectEntry&) { return true; }, soon()),
              6u);
    EXPECT_THAT(all("", 10), ElementsAre());
}

}  // namespace
}  // namespace mooncake::store::test
