// SPDX-License-Identifier: Apache-2.0
// Waiting for something that can only be polled, without burning a CPU and without finding out
// late.
#pragma once

#include <chrono>

namespace mooncake::bench {

/// Paces the polls of one thread's batches, one after the other: sleeps through most of the time
/// the last batches took, then looks again at intervals that are a small fraction of the time
/// waited so far. What is lost by looking late is under 2 % of a batch. One thread only.
class PoliteWait {
 public:
    using Clock = std::chrono::steady_clock;

    /// Lets this thread's short sleeps be short; the kernel adds 50 us to each otherwise.
    static void sharpenTimer();

    /// A batch has been submitted.
    void begin();
    /// It is not done yet: sleeps.
    void pause();
    /// It is done.
    void end();

    /// Sleeps while several batches, begun one after the other, are under way: a small fraction of
    /// the time that one of them takes, so that each is replaced soon after its end.
    /// @param usual  a batch's time
    static void pauseInWindow(std::chrono::nanoseconds usual);

    /// How long pause() sleeps next, by what it knows at `waited` after begin().
    std::chrono::nanoseconds nextPause(std::chrono::nanoseconds waited) const;

 private:
    Clock::time_point begun_{};
    std::chrono::nanoseconds usual_{0};  // a batch's time, smoothed; 0 before the first
};

}  // namespace mooncake::bench
