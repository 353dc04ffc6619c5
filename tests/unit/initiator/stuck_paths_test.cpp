// SPDX-License-Identifier: Apache-2.0
#include "stuck_paths.h"

#include <gtest/gtest.h>

#include <optional>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using Sight = StuckPaths::Sight;

class StuckPathsTest : public ::testing::Test {
 protected:
    static constexpr auto kPause = 250ms;

    /// Looks at both paths for a while. @return the path that is to be reset, if any, at the end
    std::optional<size_t> watch(std::chrono::milliseconds time, const std::optional<Sight>& first,
                                const std::optional<Sight>& second, uint64_t secondGains = 0) {
        std::optional<size_t> stuck;
        uint64_t gained = 0;
        for (const auto end = now + time; now < end && !stuck; now += kPause) {
            if (paths.note(0, first, now)) stuck = 0;
            auto other = second;
            if (other) other->ended += gained += secondGains;
            if (paths.note(1, other, now + 10ms)) stuck = 1;
        }
        return stuck;
    }

    StuckPaths paths{2};
    StuckPaths::Clock::time_point now = StuckPaths::Clock::now();
};

TEST_F(StuckPathsTest, OneThatKeepsItsIoWhileTheOtherGetsOn) {
    const auto start = now;
    EXPECT_EQ(watch(10s, Sight{100, 3}, Sight{100, 5}, 7), 0u);
    EXPECT_GE(now - start, StuckPaths::kStuck);
    EXPECT_LE(now - start, StuckPaths::kStuck + 2 * kPause);
}

TEST_F(StuckPathsTest, OneThatKeepsItsIoWhileTheOtherHasNone) {
    EXPECT_EQ(watch(10s, Sight{100, 1}, Sight{100, 0}), 0u);
}

TEST_F(StuckPathsTest, NoneWhereADiskHangs) {
    EXPECT_EQ(watch(60s, Sight{100, 1}, Sight{100, 1}), std::nullopt);
}

TEST_F(StuckPathsTest, NoneThatGetsOn) {
    EXPECT_EQ(watch(60s, Sight{100, 0}, Sight{100, 64}, 1), std::nullopt);
}

TEST_F(StuckPathsTest, NoneWithoutAnotherThatIsUp) {
    EXPECT_EQ(watch(60s, Sight{100, 3}, std::nullopt), std::nullopt);
}

// Of the time between two looks that are far apart nothing is known.
TEST_F(StuckPathsTest, NoneThatWasNotWatched) {
    for (int i = 0; i < 10; ++i, now += 5s) {
        EXPECT_FALSE(paths.note(1, Sight{100, 0}, now));
        EXPECT_FALSE(paths.note(0, Sight{100, 3}, now));
    }
}

// It begins anew, and has its time again.
TEST_F(StuckPathsTest, TheSameOneAgain) {
    ASSERT_EQ(watch(10s, Sight{100, 3}, Sight{100, 0}), 0u);
    const auto start = now;
    EXPECT_EQ(watch(10s, Sight{0, 3}, Sight{100, 0}), 0u);
    EXPECT_GE(now - start, StuckPaths::kStuck);
}

// What it had hangs there, too.
TEST_F(StuckPathsTest, NotTheOtherOneAfterIt) {
    ASSERT_EQ(watch(10s, Sight{100, 3}, Sight{100, 0}), 0u);
    EXPECT_EQ(watch(25s, Sight{0, 0}, Sight{100, 3}), std::nullopt);
    EXPECT_EQ(watch(20s, Sight{0, 0}, Sight{100, 3}), 1u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
