// SPDX-License-Identifier: Apache-2.0
// Time since the machine was started. Nobody sets it, and it goes on while a process is stopped and
// while the machine sleeps, so that a lease that has ended is seen to have ended.
#pragma once

#include <chrono>

namespace mooncake::store {

struct BootClock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<BootClock>;
    static constexpr bool is_steady = true;

    // CLOCK_BOOTTIME of the machine, also within a time namespace that shows another one.
    // Thread-safe.
    static time_point now();
};

}  // namespace mooncake::store
