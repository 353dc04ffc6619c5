// SPDX-License-Identifier: Apache-2.0
#include "bench/polite_wait.h"

#include <sys/prctl.h>

#include <algorithm>
#include <thread>

namespace mooncake::bench {
namespace {

using std::chrono::nanoseconds;

constexpr nanoseconds kShortestPause = std::chrono::microseconds(10);
constexpr nanoseconds kLongestPause = std::chrono::milliseconds(1);
constexpr int kFraction = 64;
constexpr int kWindowFraction = 12;
constexpr unsigned long kTimerSlackNs = 1000;

}  // namespace

void PoliteWait::sharpenTimer() {
    prctl(PR_SET_TIMERSLACK, kTimerSlackNs, 0, 0, 0);
}

void PoliteWait::begin() {
    begun_ = Clock::now();
}

nanoseconds PoliteWait::nextPause(nanoseconds waited) const {
    const nanoseconds expected = usual_ * 3 / 4;
    if (waited < expected) return expected - waited;
    return std::clamp(waited / kFraction, kShortestPause, kLongestPause);
}

void PoliteWait::pause() {
    std::this_thread::sleep_for(nextPause(Clock::now() - begun_));
}

void PoliteWait::pauseInWindow(nanoseconds usual) {
    std::this_thread::sleep_for(std::clamp(usual / kWindowFraction, kShortestPause, kLongestPause));
}

void PoliteWait::end() {
    const nanoseconds took = Clock::now() - begun_;
    usual_ = usual_ == nanoseconds::zero() ? took : (usual_ + took) / 2;
}

}  // namespace mooncake::bench
