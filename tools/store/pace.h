// SPDX-License-Identifier: Apache-2.0
// Keeps what goes on in the background to so many bytes a second.
#pragma once

#include <chrono>
#include <cstdint>

namespace mooncake::store::tool {

class Pace {
 public:
    using Clock = std::chrono::steady_clock;

    // @param rate  bytes a second; 0: as fast as it goes
    Pace(uint64_t rate, Clock::time_point begin) : rate_(rate), next_(begin) {}

    // @return when so many bytes more may begin to move. What was not used before is not made up
    // for.
    Clock::time_point reserve(uint64_t bytes, Clock::time_point now);

 private:
    const uint64_t rate_;
    Clock::time_point next_;
};

}  // namespace mooncake::store::tool
