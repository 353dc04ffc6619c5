// SPDX-License-Identifier: Apache-2.0
// What every directory promises where much changes at once.
#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "directory_fixture.h"
#include "entries.h"

namespace mooncake::store::test {
namespace {

using testing::ElementsAre;
using When = Change::When;

TEST_P(DirectoryTest, ManyKeysAtOnce) {
    constexpr size_t kKeys = 5000;
    Node one(address());
    const Region region = one.take();
    std::vector<Change> changes;
    std::vector<std::string> keys;
    for (size_t i = 0; i < kKeys; ++i) {
        keys.push_back("key" + std::to_string(i));
        if (i % 2 == 0) changes.push_back({keys[i], entryIn(region, i), When::kAbsent});
    }
    const auto outcomes = one.directory->commit(changes, soon());
    ASSERT_DONE(outcomes);
    EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
    const auto there = one.directory->exists(keys, nullptr, soon());
    const auto entries = one.directory->lookup(keys, soon());
    ASSERT_DONE(there);
    ASSERT_DONE(entries);
    for (size_t i = 0; i < kKeys; ++i) {
        ASSERT_EQ(there->at(i), i % 2 == 0) << i;
        ASSERT_EQ(entries->at(i).has_value(), i % 2 == 0) << i;
        if (i % 2 == 0) {
            ASSERT_EQ(*entries->at(i), entryIn(region, i));
        }
    }
    // With a filter: as if only the first half of the region were within reach.
    const auto near = one.directory->exists(
        keys, [](const Extent& extent) { return extent.offset < kKeys / 2; }, soon());
    ASSERT_DONE(near);
    for (size_t i = 0; i < kKeys; ++i) ASSERT_EQ(near->at(i), i % 2 == 0 && i < kKeys / 2) << i;

    // What was evicted goes, what was written again since stays.
    EXPECT_DONE(one.directory->sealRegion(region.id, 1, {}, soon()));
    EXPECT_DONE(one.directory->beginClean(region.id, 1, soon()));
    const Region other = one.take();
    ASSERT_EQ(one.put("key0", entryIn(other)), ChangeOutcome::kDone);
    EXPECT_DONE(one.directory->dropOlder(keys, region.id, 2, soon()));
    const auto left = one.directory->exists(keys, nullptr, soon());
    ASSERT_DONE(left);
    EXPECT_EQ(std::count(left->begin(), left->end(), true), 1);
    EXPECT_TRUE(left->at(0));
}

// Entries that many change at once come to the sum of what each did.
TEST_P(DirectoryTest, EditsDoNotLoseEachOther) {
    constexpr int kThreads = 4, kTimes = 10;
    Node one(address());
    const Region region = one.take();
    ObjectEntry entry = entryIn(region);
    entry.time_ms = 0;
    ASSERT_EQ(one.put("count", entry), ChangeOutcome::kDone);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&] {
            const auto directory = openDirectory(address());
            for (int time = 0; time < kTimes; ++time) {
                const auto edits = directory->edit(
                    {"count", "none"},
                    [](std::string_view, ObjectEntry* found) {
                        ++found->time_ms;
                        return Edit::kChange;
                    },
                    soon());
                ASSERT_DONE(edits);
                EXPECT_THAT(*edits, ElementsAre(Edit::kChange, Edit::kKeep));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(one.get("count")->time_ms, uint64_t{kThreads * kTimes});
}

// Two clients that put one key: one of them wins, and both learn who.
TEST_P(DirectoryTest, PutsOfOneKeyAtOnce) {
    constexpr int kThreads = 4, kKeys = 100;
    std::vector<std::unique_ptr<Node>> nodes;
    std::vector<Region> regions;
    for (int i = 0; i < kThreads; ++i) {
        nodes.push_back(std::make_unique<Node>(address(), "n" + std::to_string(i)));
        regions.push_back(nodes.back()->take());
    }
    std::vector<std::vector<ChangeOutcome>> outcomes(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int key = 0; key < kKeys; ++key) {
                outcomes[i].push_back(nodes[i]->put(std::to_string(key), entryIn(regions[i], key)));
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (int key = 0; key < kKeys; ++key) {
        int winners = 0;
        for (int i = 0; i < kThreads; ++i) {
            if (outcomes[i][key] != ChangeOutcome::kDone) {
                EXPECT_EQ(outcomes[i][key], ChangeOutcome::kExists);
                continue;
            }
            ++winners;
            EXPECT_EQ(nodes[0]->get(std::to_string(key)), entryIn(regions[i], key));
        }
        EXPECT_EQ(winners, 1) << key;
    }
}

TEST_P(DirectoryTest, CommitsOfManyThreadsShareTransactions) {
    constexpr int kThreads = 16, kKeys = 50;
    Node one(address());
    const Region region = one.take();
    const uint64_t before = one.directory->statistics().groups;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int key = 0; key < kKeys; ++key) {
                const int n = i * kKeys + key;
                EXPECT_EQ(one.put(std::to_string(n), entryIn(region, n)), ChangeOutcome::kDone);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    const auto numbers = one.directory->statistics();
    EXPECT_EQ(numbers.grouped, uint64_t{kThreads * kKeys});
    EXPECT_LT(numbers.groups - before, uint64_t{kThreads * kKeys});
    EXPECT_EQ(numbers.changed, uint64_t{kThreads * kKeys});
}

}  // namespace
}  // namespace mooncake::store::test
