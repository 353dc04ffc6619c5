// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace mooncake::nvmeof_generic {

/// When to try again: at once after a success, then after 0.1 s, doubling to 2 s, each with a
/// jitter of a quarter so that the initiators of a restarted target do not come all at the same
/// moment. Not thread-safe.
class RetryPace {
 public:
    using Clock = std::chrono::steady_clock;

    void succeeded() { *this = RetryPace(); }

    void failed(Clock::time_point now) {
        if (delay_ == Clock::duration::zero()) failingSince_ = now;
        delay_ = std::clamp<Clock::duration>(delay_ * 2, kFirst, kLongest);
        notBefore_ = now + std::chrono::duration_cast<Clock::duration>(delay_ * jitter());
    }

    /// No attempt before `when`, whatever succeeds.
    void hold(Clock::time_point when) { notBefore_ = std::max(notBefore_, when); }

    Clock::time_point notBefore() const { return notBefore_; }

    /// Whether every attempt of the last `time` and more has failed.
    bool failingFor(Clock::duration time, Clock::time_point now) const {
        return delay_ != Clock::duration::zero() && now - failingSince_ >= time;
    }

 private:
    static constexpr Clock::duration kFirst = std::chrono::milliseconds(100);
    static constexpr Clock::duration kLongest = std::chrono::seconds(2);

    static double jitter() {
        thread_local std::minstd_rand random{std::random_device{}()};
        return std::uniform_real_distribution<double>(0.75, 1.25)(random);
    }

    Clock::duration delay_ = Clock::duration::zero();
    Clock::time_point notBefore_{};
    Clock::time_point failingSince_{};
};

}  // namespace mooncake::nvmeof_generic
