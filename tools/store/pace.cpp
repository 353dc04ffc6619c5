// SPDX-License-Identifier: Apache-2.0
#include "pace.h"

#include <algorithm>

namespace mooncake::store::tool {

Pace::Clock::time_point Pace::reserve(uint64_t bytes, Clock::time_point now) {
    if (rate_ == 0) return now;
    const auto begin = std::max(next_, now);
    const std::chrono::duration<double> takes(static_cast<double>(bytes) /
                                              static_cast<double>(rate_));
    next_ = begin + std::chrono::duration_cast<Clock::duration>(takes);
    return begin;
}

}  // namespace mooncake::store::tool
