// SPDX-License-Identifier: Apache-2.0
#include "log_pace.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// A target that is away for a day, with a request that fails every 10 ms.
TEST(LogPace, ADeadTargetDoesNotFillADisk) {
    LogPace pace;
    LogPace::Clock::time_point now{1h};
    uint64_t lines = 0, accounted = 0, events = 0;
    for (const auto end = now + 24h; now < end; now += 10ms) {
        ++events;
        if (const auto left = pace.admit(now)) {
            ++lines;
            accounted += 1 + *left;
        }
    }
    EXPECT_LE(lines, 310u);
    EXPECT_GE(lines, 280u);
    EXPECT_LE(accounted, events);
    EXPECT_GE(accounted, events - 30000) << "each line says how many were left out";
}

TEST(LogPace, TheFirstLineAfterAQuietTimeIsWritten) {
    LogPace pace;
    LogPace::Clock::time_point now{1h};
    EXPECT_EQ(pace.admit(now), 0u);
    EXPECT_EQ(pace.admit(now + 900ms), std::nullopt);
    EXPECT_EQ(pace.admit(now + 1s), 1u);
    EXPECT_EQ(pace.admit(now + 2s), std::nullopt) << "the pause has doubled";
    EXPECT_EQ(pace.admit(now + 1h), 1u);
    EXPECT_EQ(pace.admit(now + 1h + 1s), 0u) << "and begins anew";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
