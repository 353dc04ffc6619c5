// SPDX-License-Identifier: Apache-2.0
#include "in_flight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace mooncake::nvmeof_generic::io {
namespace {

TEST(InFlight, PlacesHaveALimit) {
    InFlight inFlight;
    const InFlight::Places some = inFlight.reserve(3, 5, false);
    EXPECT_EQ(some.count, 3U);
    const InFlight::Places rest = inFlight.reserve(3, 5, false);
    EXPECT_EQ(rest.count, 2U);
    EXPECT_EQ(inFlight.reserve(1, 5, false).count, 0U);
    EXPECT_EQ(inFlight.count(), 5U);
    EXPECT_TRUE(inFlight.release({1, some.generation}, true, false));
    EXPECT_EQ(inFlight.reserve(2, 5, false).count, 1U);
}

// The greatest limit fits in each generation.
TEST(InFlight, AsManyAsCanBe) {
    InFlight inFlight;
    for (int i = 0; i < 20; ++i) {
        const InFlight::Places all = inFlight.reserve(InFlight::kMost, InFlight::kMost, false);
        ASSERT_EQ(all.count, InFlight::kMost);
        ASSERT_EQ(inFlight.count(), InFlight::kMost);
        inFlight.step();
        ASSERT_TRUE(inFlight.release(all, true, false));
        ASSERT_EQ(inFlight.count(), 0U);
        inFlight.step();
    }
}

TEST(InFlight, LockedIsForThoseWithTheLock) {
    InFlight inFlight;
    const InFlight::Places one = inFlight.reserve(1, 8, false);
    inFlight.lock(true);
    EXPECT_EQ(inFlight.reserve(1, 8, false).count, 0U);
    EXPECT_EQ(inFlight.reserve(1, 8, true).count, 1U);
    EXPECT_FALSE(inFlight.release(one, true, false));
    EXPECT_EQ(inFlight.count(), 2U);
    EXPECT_TRUE(inFlight.release(one, true, true));
    inFlight.lock(false);
    EXPECT_EQ(inFlight.reserve(1, 8, false).count, 1U);
}

TEST(InFlight, TheOldestCounts) {
    InFlight inFlight;
    EXPECT_EQ(inFlight.step().oldest, 0U);
    const InFlight::Places first = inFlight.reserve(1, 8, false);
    EXPECT_EQ(inFlight.step().oldest, 0U);
    const InFlight::Places second = inFlight.reserve(1, 8, false);
    EXPECT_EQ(inFlight.step().oldest, 1U);
    EXPECT_EQ(inFlight.step().oldest, 2U);
    inFlight.release(first, true, false);
    EXPECT_EQ(inFlight.step().oldest, 2U);
    inFlight.release(second, true, false);
    EXPECT_EQ(inFlight.step().oldest, 0U);
}

// However long it takes, and whatever comes and goes meanwhile.
TEST(InFlight, WhatIsAsOldAsCanBeToldStaysSo) {
    InFlight inFlight;
    const InFlight::Places old = inFlight.reserve(1, 8, false);
    for (uint32_t i = 0; i < 100; ++i) {
        EXPECT_EQ(inFlight.step().oldest, std::min(i, InFlight::kOldest));
        inFlight.release(inFlight.reserve(1, 8, false), true, false);
    }
    const InFlight::Places young = inFlight.reserve(1, 8, false);
    inFlight.release(old, true, false);
    EXPECT_LE(inFlight.step().oldest, 1U);
    EXPECT_LE(inFlight.step().oldest, 2U);
    EXPECT_GE(inFlight.step().oldest, 1U);
    inFlight.release(young, true, false);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(inFlight.step().oldest, 0U);
}

TEST(InFlight, TellsOnceThatSomethingEnded) {
    InFlight inFlight;
    const InFlight::Places one = inFlight.reserve(2, 8, false);
    EXPECT_FALSE(inFlight.step().moved);
    inFlight.release({1, one.generation}, false, false);
    EXPECT_FALSE(inFlight.step().moved) << "it was never in flight";
    inFlight.release({1, one.generation}, true, false);
    EXPECT_TRUE(inFlight.step().moved);
    EXPECT_FALSE(inFlight.step().moved);
}

// Case 44.
TEST(InFlight, ThreadsSideBySide) {
    InFlight inFlight;
    constexpr uint32_t kLimit = 7;
    std::atomic<bool> over{false};
    std::atomic<uint32_t> held{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 20'000; ++i) {
                const InFlight::Places some = inFlight.reserve(1 + (i + t) % 3, kLimit, false);
                if (held.fetch_add(some.count) + some.count > kLimit) over = true;
                held.fetch_sub(some.count);
                inFlight.release(some, true, false);
            }
        });
    }
    for (int i = 0; i < 1000; ++i) inFlight.step();
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(over);
    EXPECT_EQ(inFlight.count(), 0U);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
