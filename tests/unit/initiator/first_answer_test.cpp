// SPDX-License-Identifier: Apache-2.0
#include "first_answer.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>

namespace mooncake::nvmeof_generic {
namespace {

const Path kOne{{"tcp", "ipv4", "192.0.2.10", "4420"}};
const Path kTwo{{"tcp", "ipv4", "198.51.100.10", "4420"}};
const Path kRdma{{"rdma", "ipv4", "203.0.113.10", "4420"}};
const Path kOtherRdma{{"rdma", "ipv4", "203.0.113.11", "4420"}};

Result<bool> silence(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(mutex);
    stopped.wait(lock, stop, [] { return false; });
    return makeError(ECANCELED, "silent");
}

TEST(FirstAnswer, WaitsForNoOther) {
    const auto found = firstThatAnswers(
        {kOne, kTwo},
        [](const Path& path, const std::stop_token& stop) {
            return path == kOne ? silence(stop) : Result<bool>(true);
        },
        {}, 0);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found.value(), kTwo);
}

TEST(FirstAnswer, IsTheFirstErrorWhereThereIsNone) {
    const auto found = firstThatAnswers(
        {kOne, kTwo},
        [](const Path& path, const std::stop_token&) -> Result<bool> {
            return makeError(path == kOne ? ECONNREFUSED : EHOSTUNREACH, "no answer");
        },
        {}, 0);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, ECONNREFUSED);
}

// Silence may have any cause; this one is known.
TEST(FirstAnswer, IsWhatATargetHasAgainstThisHost) {
    for (const int code : {ENOKEY, EKEYREJECTED, EPROTONOSUPPORT}) {
        const auto found = firstThatAnswers(
            {kOne, kTwo},
            [code](const Path& path, const std::stop_token&) -> Result<bool> {
                return makeError(path == kOne ? ETIMEDOUT : code, "no answer");
            },
            {}, 0);
        ASSERT_FALSE(found.ok());
        EXPECT_EQ(found.error().code, code);
    }
}

// Those that cannot be asked, each in its turn.
TEST(FirstAnswer, IsGuessedWhereNobodyCanBeAsked) {
    const Path guesses[] = {kRdma, kOtherRdma, kRdma};
    for (size_t turn = 0; turn < std::size(guesses); ++turn) {
        const auto found = firstThatAnswers(
            {kOne, kRdma, kOtherRdma},
            [](const Path& path, const std::stop_token&) -> Result<bool> {
                if (path == kOne) return makeError(EHOSTUNREACH, "no answer");
                return false;
            },
            {}, turn);
        ASSERT_TRUE(found.ok()) << found.error().message;
        EXPECT_EQ(found.value(), guesses[turn]);
    }
}

TEST(FirstAnswer, IsBetterThanAGuess) {
    const auto found = firstThatAnswers(
        {kRdma, kOne},
        [](const Path& path, const std::stop_token&) { return Result<bool>(path == kOne); }, {}, 0);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found.value(), kOne);
}

TEST(FirstAnswer, IsNotWaitedForAfterTheEnd) {
    std::stop_source end;
    const auto found = firstThatAnswers(
        {kOne, kTwo},
        [&](const Path&, const std::stop_token& stop) {
            end.request_stop();
            return silence(stop);
        },
        end.get_token(), 0);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.error().code, ECANCELED);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
