// SPDX-License-Identifier: Apache-2.0
#include "connection_watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using Clock = ConnectionWatch::Clock;
using Verdict = ConnectionWatch::Verdict;

constexpr Clock::time_point kStart(1h);
constexpr auto kDownLimit = 4s;
constexpr auto kIoLimit = 10s;

ConnectionWatch::Sight live() {
    return {.live = true, .reconnecting = false, .down = {}};
}
ConnectionWatch::Sight dead(Clock::time_point since) {
    return {.live = false, .reconnecting = false, .down = since};
}
ConnectionWatch::Sight reconnecting(Clock::time_point since) {
    return {.live = false, .reconnecting = true, .down = since};
}

TEST(ConnectionWatch, IoStallsWhenSomeIsThereAndNoneHasEndedSince) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    EXPECT_FALSE(watch.stalls({{0, 0}}));
    EXPECT_TRUE(watch.stalls({{1, 0}}));
    EXPECT_FALSE(watch.stalls({{1, 1}}));
    EXPECT_TRUE(watch.stalls({{1, 1}}));
    EXPECT_FALSE(watch.stalls({{0, 1}}));
}

// Two counts, so that what is slow is not asked about; then once in two seconds.
TEST(ConnectionWatch, TheTargetIsAskedNowAndThen) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    std::vector<int> asked;
    for (int i = 1; i <= 60; ++i) {
        ASSERT_TRUE(watch.stalls({{1, 0}}));
        if (watch.shouldAsk()) asked.push_back(i);
    }
    EXPECT_EQ(asked, (std::vector<int>{2, 10, 18, 26, 34, 42, 50, 58}));
    watch.stalls({{1, 1}});
    EXPECT_FALSE(watch.shouldAsk());
    watch.stalls({{1, 1}});
    watch.stalls({{1, 1}});
    EXPECT_TRUE(watch.shouldAsk());
}

// One of the connection's queues may be dead while the others are not.
TEST(ConnectionWatch, IoThatIsLongOverdueIsAskedAboutWhileOtherIoEnds) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    std::vector<uint32_t> asked;
    for (uint32_t i = 0; i < 31; ++i) {
        const bool looks = watch.stalls({{2, i + 1}, i * 250ms});
        EXPECT_EQ(looks, i >= 8) << i;
        if (watch.shouldAsk()) asked.push_back(i);
    }
    EXPECT_EQ(asked, (std::vector<uint32_t>{8, 16, 24}));
    EXPECT_FALSE(watch.stalls({{2, 100}, 750ms})) << "it has ended";
    EXPECT_FALSE(watch.shouldAsk());
}

TEST(ConnectionWatch, AConnectionThatIsDownForItsTimeIsGivenUp) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    EXPECT_EQ(watch.judge(dead(kStart), kStart, false), Verdict::kWait);
    // When it was first seen down counts, whatever a later look says.
    EXPECT_EQ(watch.judge(dead(kStart + 3s), kStart + 3999ms, false), Verdict::kWait);
    EXPECT_EQ(watch.judge(dead(kStart + 3s), kStart + 4s, false), Verdict::kGiveUp);
}

TEST(ConnectionWatch, WhenStoppingItIsGivenUpAtOnce) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    EXPECT_EQ(watch.judge(live(), kStart, true), Verdict::kWait);
    EXPECT_EQ(watch.judge(dead(kStart), kStart, true), Verdict::kGiveUp);
}

TEST(ConnectionWatch, TheTimeStartsAnewWhenItWasLiveOrIoEnded) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    watch.judge(dead(kStart), kStart, false);
    EXPECT_EQ(watch.judge(live(), kStart + 5s, false), Verdict::kWait);
    EXPECT_EQ(watch.judge(dead(kStart + 5s), kStart + 5s, false), Verdict::kWait);
    watch.stalls({{1, 1}});
    EXPECT_EQ(watch.judge(dead(kStart + 9s), kStart + 9s, false), Verdict::kWait);
    watch.beginAnew();
    EXPECT_EQ(watch.judge(dead(kStart + 13s), kStart + 13s, false), Verdict::kWait);
    EXPECT_EQ(watch.judge(dead(kStart + 13s), kStart + 17s, false), Verdict::kGiveUp);
}

// The kernel fails by itself what it has, counted from when it began to reconnect: shortly before,
// what it has not got is taken back.
TEST(ConnectionWatch, WhileTheKernelTriesItIsLeftToFailWhatItHas) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    // Down for long already: not the time that counts here.
    watch.judge(dead(kStart - 3500ms), kStart - 1ms, false);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart, false), Verdict::kWait);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart + 1s, false), Verdict::kWait);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart + 3499ms, false), Verdict::kWait);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart + 3500ms, false),
              Verdict::kGiveUpWhenFailed);
}

// It can be deleted between two attempts only: at first, there is none yet.
TEST(ConnectionWatch, BeforeTheKernelsFirstAttemptItCanBeGivenUp) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart, true), Verdict::kGiveUp);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart + 499ms, true), Verdict::kGiveUp);
    EXPECT_EQ(watch.judge(reconnecting(kStart), kStart + 500ms, true), Verdict::kWait);
    // Not reconnecting any more, it is down as before.
    EXPECT_EQ(watch.judge(dead(kStart), kStart + 4s, false), Verdict::kGiveUp);
}

// Whatever answers and moves: it is all that ends such I/O.
TEST(ConnectionWatch, IoWithoutAnEndEndsAConnectionThatIsUp) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    for (const bool moves : {false, true}) {
        EXPECT_TRUE(watch.stalls({{2, moves ? 1U : 0U}, kIoLimit - 1ms}));
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kWait);
        EXPECT_TRUE(watch.stalls({{2, moves ? 2U : 0U}, kIoLimit}));
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kGiveUpHung);
        EXPECT_EQ(watch.judge(live(), kStart, true), Verdict::kGiveUpHung);
        // One that is down has its own time.
        EXPECT_EQ(watch.judge(dead(kStart), kStart, false), Verdict::kWait);
        EXPECT_FALSE(watch.stalls({{0, 3}, 0ms}));
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kWait);
    }
}

// The kernel connects, and what was asked gets lost again: large packets, perhaps.
TEST(ConnectionWatch, AnswersThatGetLostAgainEndAConnectionThatIsUp) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    for (const auto oldest : {0ms, 3000ms}) {
        // Nothing moves, or one I/O does not while others do.
        auto stalls = [&, ended = uint64_t{1}]() mutable {
            if (oldest != 0ms) ++ended;
            return watch.stalls({{2, ended}, oldest});
        };
        stalls();
        EXPECT_TRUE(stalls());
        watch.noteAnswer(false, kStart);
        EXPECT_EQ(watch.judge(dead(kStart), kStart, false), Verdict::kWait);
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kWait);
        EXPECT_TRUE(stalls());
        watch.noteAnswer(true, kStart);
        watch.noteAnswer(false, kStart);
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kWait) << "it answered in between";
        EXPECT_TRUE(stalls());
        watch.noteAnswer(false, kStart);
        EXPECT_EQ(watch.judge(dead(kStart), kStart, false), Verdict::kWait);
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kGiveUpInVain);
        EXPECT_FALSE(watch.stalls({{1, 1000}, 0ms})) << "it has ended";
        EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kWait);
    }
}

// Also where each connection is given up before there is a second question.
TEST(ConnectionWatch, AnswersThatGetLostOnOneConnectionAfterTheOtherAreRemembered) {
    ConnectionWatch watch(kDownLimit, kIoLimit);
    watch.noteAnswer(false, kStart);
    EXPECT_FALSE(watch.losesAnswers());
    watch.beginAnew();
    watch.noteAnswer(false, kStart + 50s);
    EXPECT_EQ(watch.judge(live(), kStart + 50s, false), Verdict::kWait) << "of this one it is one";
    EXPECT_TRUE(watch.losesAnswers());
    watch.noteAnswer(true, kStart + 51s);
    EXPECT_FALSE(watch.losesAnswers());
    watch.noteAnswer(false, kStart + 52s);
    watch.noteAnswer(false, kStart + 113s);
    EXPECT_FALSE(watch.losesAnswers()) << "long ago";
}

// A limit that is shorter than what is worth a question.
TEST(ConnectionWatch, AShortLimitCountsWhileOtherIoEnds) {
    ConnectionWatch watch(kDownLimit, 1s);
    EXPECT_FALSE(watch.stalls({{2, 1}, 999ms}));
    EXPECT_TRUE(watch.stalls({{2, 2}, 1s}));
    EXPECT_EQ(watch.judge(live(), kStart, false), Verdict::kGiveUpHung);
}

TEST(ConnectionWatch, LooksOftenEnoughForAShortLimit) {
    EXPECT_EQ(ConnectionWatch(4s, kIoLimit).pause(), 250ms);
    EXPECT_EQ(ConnectionWatch(200ms, kIoLimit).pause(), 50ms);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
