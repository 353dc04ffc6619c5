// SPDX-License-Identifier: Apache-2.0
#include "in_flight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr std::chrono::milliseconds kStep{250};

/// Steps in regular time.
struct Stepper {
    explicit Stepper(InFlight& of) : inFlight(of) {}
    InFlight::Age step(std::chrono::milliseconds after = kStep) {
        return inFlight.step(now += after);
    }
    /// In steps.
    int64_t oldest() { return step().oldest / kStep; }
    InFlight& inFlight;
    InFlight::Clock::time_point now{std::chrono::hours(1)};
};

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
    Stepper steps(inFlight);
    for (int i = 0; i < 20; ++i) {
        const InFlight::Places all = inFlight.reserve(InFlight::kMost, InFlight::kMost, false);
        ASSERT_EQ(all.count, InFlight::kMost);
        ASSERT_EQ(inFlight.count(), InFlight::kMost);
        steps.step();
        ASSERT_TRUE(inFlight.release(all, true, false));
        ASSERT_EQ(inFlight.count(), 0U);
        steps.step();
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
    Stepper steps(inFlight);
    EXPECT_EQ(steps.oldest(), 0);
    const InFlight::Places first = inFlight.reserve(1, 8, false);
    EXPECT_EQ(steps.oldest(), 0);
    const InFlight::Places second = inFlight.reserve(1, 8, false);
    EXPECT_EQ(steps.oldest(), 1);
    EXPECT_EQ(steps.oldest(), 2);
    inFlight.release(first, true, false);
    EXPECT_EQ(steps.oldest(), 2);
    inFlight.release(second, true, false);
    EXPECT_EQ(steps.oldest(), 0);
}

// However long it takes, and whatever comes and goes meanwhile.
TEST(InFlight, WhatIsOldStaysSo) {
    InFlight inFlight;
    Stepper steps(inFlight);
    const InFlight::Places old = inFlight.reserve(1, 8, false);
    for (int i = 0; i < 1000; ++i) {
        EXPECT_EQ(steps.oldest(), i);
        inFlight.release(inFlight.reserve(1, 8, false), true, false);
    }
    const InFlight::Places young = inFlight.reserve(1, 8, false);
    inFlight.release(old, true, false);
    EXPECT_LE(steps.oldest(), 1);
    const int64_t second = steps.oldest();
    EXPECT_TRUE(second == 1 || second == 2) << second;
    inFlight.release(young, true, false);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(steps.oldest(), 0);
}

// Who asks more often makes nothing older; and what nobody looked at, since the process was stopped
// perhaps, may have ended long ago.
TEST(InFlight, AgesAreOfTimeThatWasLookedAt) {
    InFlight inFlight;
    Stepper steps(inFlight);
    steps.step();
    const InFlight::Places places = inFlight.reserve(1, 8, false);
    steps.step();
    for (int i = 0; i < 99; ++i) steps.step(kStep / 50);
    EXPECT_EQ(steps.step(kStep / 50).oldest, 2 * kStep);
    EXPECT_EQ(steps.step(std::chrono::hours(1)).oldest, 2 * kStep + InFlight::kLongestStep);
    inFlight.release(places, true, false);
}

TEST(InFlight, TellsOnceThatSomethingEnded) {
    InFlight inFlight;
    Stepper steps(inFlight);
    const InFlight::Places one = inFlight.reserve(2, 8, false);
    EXPECT_FALSE(steps.step().moved);
    inFlight.release({1, one.generation}, false, false);
    EXPECT_FALSE(steps.step().moved) << "it was never in flight";
    inFlight.release({1, one.generation}, true, false);
    EXPECT_TRUE(steps.step().moved);
    EXPECT_FALSE(steps.step().moved);
}

// Case 44.
TEST(InFlight, ThreadsSideBySide) {
    InFlight inFlight;
    Stepper steps(inFlight);
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
    for (int i = 0; i < 1000; ++i) steps.step();
    for (std::thread& thread : threads) thread.join();
    EXPECT_FALSE(over);
    EXPECT_EQ(inFlight.count(), 0U);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
