// SPDX-License-Identifier: Apache-2.0
#include "retry_pace.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

TEST(RetryPace, BacksOffToALimitAndForgetsAfterSuccess) {
    RetryPace pace;
    const RetryPace::Clock::time_point start(1h);
    auto now = start;
    EXPECT_LE(pace.notBefore(), now);
    auto expected = 100ms;
    for (int i = 0; i < 12; ++i) {
        pace.failed(now);
        EXPECT_GE(pace.notBefore() - now, expected * 3 / 4);
        EXPECT_LE(pace.notBefore() - now, expected * 5 / 4);
        expected = std::min<std::chrono::milliseconds>(expected * 2, 2s);
        now = pace.notBefore();
    }
    EXPECT_TRUE(pace.failingFor(now - start, now));
    EXPECT_FALSE(pace.failingFor(now - start + 1ms, now));
    pace.succeeded();
    EXPECT_LE(pace.notBefore(), now);
    EXPECT_FALSE(pace.failingFor(0s, now));
}

TEST(RetryPace, HoldOnlyPutsOff) {
    RetryPace pace;
    const RetryPace::Clock::time_point now(1h);
    pace.hold(now + 1s);
    pace.hold(now);
    EXPECT_EQ(pace.notBefore(), now + 1s);
    EXPECT_FALSE(pace.failingFor(0s, now));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
