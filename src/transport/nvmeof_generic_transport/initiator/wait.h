// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <new>
#include <stop_token>
#include <thread>

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

/// Does what must be done, again and again as long as there is no memory for it, for some seconds.
/// @param work  can be begun anew
/// @return false where there was none in all that time
template <class Work>
bool withMemory(const Work& work) {
    constexpr std::chrono::seconds kLimit{5};
    constexpr std::chrono::milliseconds kPause{20};
    const auto deadline = Clock::now() + kLimit;
    while (true) {
        try {
            work();
            return true;
        } catch (const std::bad_alloc&) {
            // There may be some in a moment.
        }
        if (Clock::now() >= deadline) return false;
        std::this_thread::sleep_for(kPause);
    }
}

}  // namespace mooncake::nvmeof_generic
