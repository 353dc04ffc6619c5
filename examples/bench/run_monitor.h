// SPDX-License-Identifier: Apache-2.0
// What the main thread does while a workload runs: progress for people, and stopping on a signal.
#pragma once

#include <chrono>
#include <cstdint>

#include "bench/options.h"
#include "bench/signal_watch.h"
#include "bench/workload.h"

namespace mooncake::bench {

/// A Workload::Watch. One thread only.
class RunMonitor {
 public:
    /// @param signals  must outlive the monitor. The progress line appears where stderr is a
    /// terminal
    RunMonitor(const Options& options, SignalWatch& signals);

    void watch(Workload& workload, Phase phase, int doneFd);

    bool stopped() const { return stopped_; }  ///< a signal asked for the end

 private:
    using Clock = std::chrono::steady_clock;
    void showProgress(const Workload& workload, Phase phase);

    const Options& options_;
    SignalWatch& signals_;
    bool terminal_;
    bool stopped_ = false;
    Clock::time_point begun_{};
    Clock::time_point shownAt_{};
    uint64_t shownBytes_ = 0;
};

}  // namespace mooncake::bench
