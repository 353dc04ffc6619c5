// SPDX-License-Identifier: Apache-2.0
#include "batch_registry.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <latch>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace mooncake {
namespace {

using Id = Transport::BatchID;

// Adds tasks that have ended, well or not yet.
void addTasks(BatchRegistry& registry, Id id, size_t count, bool ended = true) {
    const auto pin = registry.pin(id);
    ASSERT_TRUE(pin);
    for (size_t i = 0; i < count; ++i) {
        Transport::TransferTask& task = pin->task(i);
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
    pin->task_count = count;
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

// Each thread has slots of its own, and those that another one frees come back to it.
TEST(BatchRegistryTest, WhatAnotherThreadFreesIsUsedAgain) {
    BatchRegistry registry;
    std::set<const Batch*> places;
    for (int i = 0; i < 100; ++i) {
        const Id id = registry.add(1);
        registry.with(id, [&](Batch& batch) { places.insert(&batch); });
        std::thread([&] { EXPECT_TRUE(registry.remove(id).ok()); }).join();
    }
    EXPECT_EQ(places.size(), 1u);
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
    for (const Id wrong : {foreign, id + 1, id ^ Id{1} << 32, id | Id{1} << 63, id & UINT32_MAX,
                           Id{0}, Transport::INVALID_BATCH_ID, Id{UINT32_MAX}}) {
        EXPECT_FALSE(registry.with(wrong, [](Batch&) { FAIL(); })) << wrong;
        EXPECT_FALSE(registry.pin(wrong)) << wrong;
        EXPECT_TRUE(registry.remove(wrong).IsInvalidArgument()) << wrong;
    }
    EXPECT_TRUE(registry.remove(id).ok());
    EXPECT_TRUE(other.remove(foreign).ok());
}

TEST(BatchRegistryTest, ABatchInUseStays) {
    BatchRegistry registry;
    const Id id = registry.add(2);
    {
        const auto pin = registry.pin(id);
        EXPECT_TRUE(registry.remove(id).IsBatchBusy());
    }
    addTasks(registry, id, 2, false);
    EXPECT_TRUE(registry.remove(id).IsBatchBusy());
    EXPECT_TRUE(registry.with(id, [](Batch& batch) {
        for (int i : {0, 1}) batch.tasks[i].failed_slice_count = 1;
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
                        EXPECT_EQ(batch.tasks[0].transferred_bytes, 100u);
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
