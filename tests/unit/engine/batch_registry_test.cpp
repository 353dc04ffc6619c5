// SPDX-License-Identifier: Apache-2.0
#include "batch_registry.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace mooncake {
namespace {

using Id = Transport::BatchID;

// Adds tasks that have ended, well or not yet.
void addTasks(BatchRegistry& registry, Id id, size_t count, bool ended = true) {
    const auto batch = registry.submitTo(id);
    ASSERT_TRUE(batch);
    for (size_t i = 0; i < count; ++i) {
        Transport::TransferTask& task = batch->addTask();
        EXPECT_EQ(task.slice_count, 0u);
        EXPECT_EQ(task.success_slice_count, 0u);
        EXPECT_EQ(task.failed_slice_count, 0u);
        EXPECT_EQ(task.transferred_bytes, 0u);
        EXPECT_FALSE(task.is_finished);
        EXPECT_TRUE(task.slice_list.empty());
        task.slice_count = 1;
        task.transferred_bytes = 100;
        if (ended) task.success_slice_count = 1;
    }
}

TEST(BatchRegistryTest, GivesASlotAgainAndItsTasksAsNew) {
    BatchRegistry registry;
    for (const size_t size : {4u, 600u, 2u, 500u, 8u}) {
        const Id id = registry.add(size);
        EXPECT_TRUE(registry.with(id, [&](Batch& batch) {
            EXPECT_EQ(batch.batch_size, size);
            EXPECT_EQ(batch.id, id);
            EXPECT_EQ(batch.task_count, 0u);
            EXPECT_EQ(batch.context, nullptr);
            batch.context = &batch;
        }));
        addTasks(registry, id, size);
        EXPECT_TRUE(registry.remove(id).ok());
    }
}

TEST(BatchRegistryTest, ABatchForEachRequestTakesNoMoreMemory) {
    BatchRegistry registry;
    std::set<const Batch*> places;
    for (int i = 0; i < 1000; ++i) {
        const Id id = registry.add(1);
        registry.with(id, [&](Batch& batch) { places.insert(&batch); });
        EXPECT_TRUE(registry.remove(id).ok());
    }
    EXPECT_EQ(places.size(), 1u);
}

// Each thread has slots of its own: those that it frees for others must come back to them.
TEST(BatchRegistryTest, WhatAnotherThreadFreesIsUsedAgain) {
    BatchRegistry registry;
    std::set<const Batch*> places;
    std::atomic<Id> passed{0};
    constexpr int kBatches = 20000;
    std::thread other([&] {
        for (int i = 0; i < kBatches; ++i) {
            passed.wait(0);
            EXPECT_TRUE(registry.remove(passed).ok());
            passed = 0;
            passed.notify_one();
        }
    });
    for (int i = 0; i < kBatches; ++i) {
        const Id id = registry.add(1);
        registry.with(id, [&](Batch& batch) { places.insert(&batch); });
        passed = id;
        passed.notify_one();
        passed.wait(id);
    }
    other.join();
    EXPECT_LE(places.size(), 128u);
}

// A server that starts a thread for each request must not leave slots behind with each.
TEST(BatchRegistryTest, AThreadLeavesItsSlotsToTheNext) {
    BatchRegistry registry;
    std::set<const Batch*> places;
    for (int i = 0; i < 200; ++i) {
        std::thread([&] {
            const Id id = registry.add(1);
            registry.with(id, [&](Batch& batch) { places.insert(&batch); });
            EXPECT_TRUE(registry.remove(id).ok());
        }).join();
    }
    EXPECT_LE(places.size(), 4u);
}

// However long a program runs, and however often a slot is used.
TEST(BatchRegistryTest, NoIdIsGivenTwice) {
    constexpr uint64_t kUses = 5;
    BatchRegistry registry(kUses);
    std::set<Id> ids;
    std::map<const Batch*, uint64_t> uses;
    for (int i = 0; i < 1000; ++i) {
        const Id id = registry.add(1);
        EXPECT_TRUE(ids.insert(id).second);
        registry.with(id, [&](Batch& batch) { ++uses[&batch]; });
        EXPECT_TRUE(registry.remove(id).ok());
    }
    for (const auto& [batch, count] : uses) EXPECT_LE(count, kUses);
    EXPECT_GE(uses.size(), 1000 / kUses);
    for (const Id id : ids) EXPECT_FALSE(registry.with(id, [](Batch&) { FAIL(); }));
}

// With the largest number of uses there is, too: the next one after it is the first.
TEST(BatchRegistryTest, AUseIsNeverZero) {
    for (int i = 0; i < 100; ++i) {
        BatchRegistry registry(1 + i % 2);
        for (int k = 0; k < 10; ++k) {
            const Id id = registry.add(0);
            EXPECT_NE(id >> 28, 0u);
            EXPECT_TRUE(registry.remove(id).ok());
        }
    }
}

TEST(BatchRegistryTest, WhatHasEndedIsNotLookedAtAgain) {
    BatchRegistry registry;
    const Id id = registry.add(10);
    addTasks(registry, id, 4);
    addTasks(registry, id, 1, false);
    addTasks(registry, id, 1);
    registry.with(id, [](Batch& batch) {
        EXPECT_FALSE(batch.advance());
        EXPECT_EQ(batch.ended, 4u);
        EXPECT_EQ(batch.ended_bytes, 400u);
        EXPECT_FALSE(batch.ended_badly);
        batch.task_list[0].success_slice_count = 0;  // as nothing else would do
        EXPECT_FALSE(batch.advance());
        EXPECT_EQ(batch.ended, 4u);
        batch.task_list[4].failed_slice_count = 1;
        EXPECT_TRUE(batch.advance());
        EXPECT_EQ(batch.ended_bytes, 600u);
        EXPECT_TRUE(batch.ended_badly);
    });
    addTasks(registry, id, 1, false);
    EXPECT_TRUE(registry.remove(id).IsBatchBusy());
    registry.with(id, [](Batch& batch) { batch.task_list[6].success_slice_count = 1; });
    EXPECT_TRUE(registry.remove(id).ok());
    // The next batch begins as new.
    const Id next = registry.add(10);
    registry.with(next, [](Batch& batch) {
        EXPECT_EQ(batch.ended, 0u);
        EXPECT_EQ(batch.ended_bytes, 0u);
        EXPECT_FALSE(batch.ended_badly);
    });
    EXPECT_TRUE(registry.remove(next).ok());
}

TEST(BatchRegistryTest, HoldsMoreThanTheFirstBlocks) {
    BatchRegistry registry;
    std::set<Id> ids;
    for (int i = 0; i < 10000; ++i) EXPECT_TRUE(ids.insert(registry.add(1)).second);
    for (const Id id : ids) {
        EXPECT_TRUE(registry.with(id, [id](Batch& batch) { EXPECT_EQ(batch.id, id); }));
    }
    for (const Id id : ids) EXPECT_TRUE(registry.remove(id).ok());
    for (const Id id : ids) EXPECT_FALSE(registry.with(id, [](Batch&) { FAIL(); }));
}

TEST(BatchRegistryTest, KnowsItsOwnIdsFromAllOthers) {
    BatchRegistry registry;
    BatchRegistry other;
    const Id id = registry.add(1);
    EXPECT_NE(id, 0u);
    EXPECT_GE(static_cast<int64_t>(id), 0);
    const Id foreign = other.add(1);
    for (const Id wrong : {foreign, id + 1, id ^ Id{1} << 28, id | Id{1} << 63, id & 0xfffffff,
                           Id{0}, Transport::INVALID_BATCH_ID, Id{UINT32_MAX}}) {
        EXPECT_FALSE(registry.with(wrong, [](Batch&) { FAIL(); })) << wrong;
        EXPECT_FALSE(registry.submitTo(wrong)) << wrong;
        EXPECT_TRUE(registry.remove(wrong).IsInvalidArgument()) << wrong;
    }
    EXPECT_TRUE(registry.remove(id).ok());
    EXPECT_TRUE(other.remove(foreign).ok());
}

TEST(BatchRegistryTest, ABatchInUseStays) {
    BatchRegistry registry;
    const Id id = registry.add(2);
    {
        auto batch = registry.submitTo(id);
        batch.letGo();
        EXPECT_TRUE(registry.remove(id).IsBatchBusy());
    }
    addTasks(registry, id, 2, false);
    EXPECT_TRUE(registry.remove(id).IsBatchBusy());
    EXPECT_TRUE(registry.with(id, [](Batch& batch) {
        for (int i : {0, 1}) batch.task_list[i].failed_slice_count = 1;
    }));
    EXPECT_TRUE(registry.remove(id).ok());
}

// Case 44.
TEST(BatchRegistryTest, OfManyWhoFreeABatchOneDoesWhileOthersPoll) {
    BatchRegistry registry;
    constexpr int kThreads = 4;
    constexpr int kRounds = 100;
    for (int round = 0; round < kRounds; ++round) {
        const Id id = registry.add(1);
        addTasks(registry, id, 1);
        std::latch start(kThreads);
        std::atomic<int> freed{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
                start.arrive_and_wait();
                if (t % 2 == 0) {
                    const Status status = registry.remove(id);
                    freed += status.ok();
                    EXPECT_TRUE(status.ok() || status.IsInvalidArgument()) << status.ToString();
                } else {
                    while (registry.with(id, [&](Batch& batch) {
                        EXPECT_EQ(batch.id, id);
                        EXPECT_EQ(batch.task_count, 1u);
                        EXPECT_EQ(batch.task_list[0].transferred_bytes, 100u);
                    })) {
                    }
                }
            });
        }
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(freed, 1);
    }
}

}  // namespace
}  // namespace mooncake
