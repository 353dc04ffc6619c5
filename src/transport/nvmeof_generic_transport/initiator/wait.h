// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <stop_token>

namespace mooncake::nvmeof_generic {

using Clock = std::chrono::steady_clock;

/// Waits between two looks at something that no event announces: 1 ms at first, then twice as long
/// each time up to 50 ms, never beyond the deadline. For one thread.
class Poll {
 public:
    Poll(Clock::time_point deadline, std::stop_token stop);

    /// @return false when the deadline is over or a stop was requested: do not look again
    bool wait();
    bool stopped() const { return stop_.stop_requested(); }

 private:
    const Clock::time_point deadline_;
    const std::stop_token stop_;
    std::chrono::milliseconds pause_{1};
};

}  // namespace mooncake::nvmeof_generic
