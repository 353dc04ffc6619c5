// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/log_pace.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

// Trouble that lasts for a day, in whatever rhythm: requests that fail, attempts every 2 s, and so
// on.
TEST(LogPace, ADeadTargetDoesNotFillADisk) {
    for (const LogPace::Clock::duration rhythm :
         {LogPace::Clock::duration(10ms), LogPace::Clock::duration(500ms),
          LogPace::Clock::duration(1s), LogPace::Clock::duration(2s),
          LogPace::Clock::duration(2003ms), LogPace::Clock::duration(10s),
          LogPace::Clock::duration(61s), LogPace::Clock::duration(299s),
          LogPace::Clock::duration(5min), LogPace::Clock::duration(11min)}) {
        LogPace pace;
        LogPace::Clock::time_point now{1h};
        uint64_t lines = 0, accounted = 0, events = 0;
        for (const auto end = now + 24h; now < end; now += rhythm) {
            ++events;
            if (const auto left = pace.admit(now)) {
                ++lines;
                accounted += 1 + *left;
            }
        }
        EXPECT_LE(lines, 310u) << rhythm.count();
        EXPECT_GE(lines, 125u) << rhythm.count() << ": it is not forgotten either";
        EXPECT_LE(accounted, events);
        EXPECT_GE(accounted + 10min / rhythm, events) << "each line says how many were left out";
    }
}

TEST(LogPace, TheFirstLineAfterAQuietTimeIsWritten) {
    LogPace pace;
    LogPace::Clock::time_point now{1h};
    EXPECT_EQ(pace.admit(now), 0u);
    EXPECT_EQ(pace.admit(now + 900ms), std::nullopt);
    EXPECT_EQ(pace.admit(now + 1s), 1u);
    EXPECT_EQ(pace.admit(now + 2s), std::nullopt) << "the pause has doubled";
    EXPECT_EQ(pace.admit(now + 4min), 1u);
    EXPECT_EQ(pace.admit(now + 4min + 1s), std::nullopt) << "it was not quiet for long";
    EXPECT_EQ(pace.admit(now + 1h), 1u);
    EXPECT_EQ(pace.admit(now + 1h + 1s), 0u) << "and begins anew";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
