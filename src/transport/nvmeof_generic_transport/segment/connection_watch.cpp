// SPDX-License-Identifier: Apache-2.0
#include "connection_watch.h"

#include <algorithm>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

constexpr std::chrono::milliseconds kLongestPause{250};

// After so many counts that stall the target is asked, and again after so many.
constexpr uint32_t kAskAfter = 2;
constexpr uint32_t kAskAgainAfter = 8;

// I/O that has not ended for so many pauses is worth a question while other I/O ends.
constexpr int kOverdue = 8;

// How long after it began to reconnect the kernel is not trying yet (RECONNECT_DELAY is a second at
// least).
constexpr std::chrono::milliseconds kBeforeAttempt{500};

// So many questions without an answer, between which the kernel connected, are no accident.
constexpr uint32_t kInVain = 2;
constexpr std::chrono::minutes kInARow{1};

// So long before the kernel's fast_io_fail_tmo is over, what it does not have is taken back.
constexpr std::chrono::milliseconds kBeforeFailing{500};

}  // namespace

std::chrono::milliseconds ConnectionWatch::pauseOf(std::chrono::milliseconds downLimit) {
    return std::min(kLongestPause, downLimit / 4);
}

bool ConnectionWatch::stalls(const IoDevice::Sample& sample) {
    const auto& [activity, oldest] = sample;
    const bool moves = activity.ended != std::exchange(lastEnded_, activity.ended);
    const bool stalled = !moves && activity.outstanding > 0;
    stalled_ = stalled ? stalled_ + 1 : 0;
    overdue_ = oldest >= kOverdue * pause() ? overdue_ + 1 : 0;
    hung_ = oldest >= ioLimit_;
    if (!stalled) forget();
    if (!stalled && overdue_ == 0) unanswered_ = 0;
    return stalled || overdue_ > 0 || hung_;
}

void ConnectionWatch::noteAnswer(bool came, Clock::time_point now) {
    if (came || now - lostAt_ > kInARow) lost_ = 0;
    if (came) {
        unanswered_ = 0;
        return;
    }
    ++unanswered_;
    ++lost_;
    lostAt_ = now;
}

bool ConnectionWatch::shouldAsk() const {
    return stalled_ > 0 ? stalled_ % kAskAgainAfter == kAskAfter : overdue_ % kAskAgainAfter == 1;
}

ConnectionWatch::Verdict ConnectionWatch::judge(const Sight& sight, Clock::time_point now,
                                                bool stopping) {
    const auto never = Clock::time_point::max();
    downSince_ = sight.live ? never : std::min(downSince_, sight.down);
    reconnectingSince_ = sight.reconnecting ? std::min(reconnectingSince_, now) : never;
    if (sight.live) {
        if (unanswered_ >= kInVain) return Verdict::kGiveUpInVain;
        return hung_ ? Verdict::kGiveUpHung : Verdict::kWait;
    }
    const auto attempting = now - reconnectingSince_;  // below zero: it is not
    if (attempting >= kBeforeAttempt) {
        return attempting >= downLimit_ - kBeforeFailing ? Verdict::kGiveUpWhenFailed
                                                         : Verdict::kWait;
    }
    return stopping || now - downSince_ >= downLimit_ ? Verdict::kGiveUp : Verdict::kWait;
}

}  // namespace mooncake::nvmeof_generic
