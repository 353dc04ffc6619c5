// SPDX-License-Identifier: Apache-2.0
#include "bench/polite_wait.h"

#include <gtest/gtest.h>

#include <chrono>

namespace mooncake::bench {
namespace {

using namespace std::chrono_literals;

TEST(PoliteWait, PausesGrowWithTheTimeWaitedAndStayBounded) {
    const PoliteWait wait;
    EXPECT_EQ(wait.nextPause(0ns), 10us);
    EXPECT_EQ(wait.nextPause(6400us), 100us);
    EXPECT_EQ(wait.nextPause(10s), 1ms);
    for (auto waited = 1us; waited < 60s; waited *= 2) {
        EXPECT_GT(wait.nextPause(waited), 0ns);                          // never a spin
        EXPECT_LE(wait.nextPause(waited), std::max(10us, waited / 50));  // 2 % late at most
    }
}

TEST(PoliteWait, SleepsThroughMostOfWhatTheLastBatchTook) {
    PoliteWait wait;
    const auto before = PoliteWait::Clock::now();
    wait.begin();
    wait.pause();
    wait.end();
    const auto atMost = PoliteWait::Clock::now() - before;
    const auto pause = wait.nextPause(0ns);
    EXPECT_GE(pause, 7us);  // the pause of 10 us was part of that batch
    EXPECT_LE(pause, atMost);
}

}  // namespace
}  // namespace mooncake::bench
