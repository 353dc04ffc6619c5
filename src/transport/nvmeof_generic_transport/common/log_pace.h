// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace mooncake::nvmeof_generic {

/// How often one kind of trouble is worth a line in the log: the first one at once, then after 1 s,
/// doubling to 5 minutes; from the start again after 5 minutes without any. Whatever its rhythm, it
/// costs some 300 lines a day. Not thread-safe.
class LogPace {
 public:
    using Clock = std::chrono::steady_clock;

    /// @return how many lines were left out since the last one, or nothing: leave this one out, too
    std::optional<uint64_t> admit(Clock::time_point now) {
        // What was left out counts, too: trouble that comes every 2 s is never over in between.
        const bool quiet = now - std::exchange(last_, now) >= kLongest;
        if (now < next_) {
            ++leftOut_;
            return std::nullopt;
        }
        interval_ =
            quiet ? kShortest : std::clamp<Clock::duration>(interval_ * 2, kShortest, kLongest);
        next_ = now + interval_;
        return std::exchange(leftOut_, 0);
    }

 private:
    static constexpr Clock::duration kShortest = std::chrono::seconds(1);
    static constexpr Clock::duration kLongest = std::chrono::minutes(5);

    Clock::duration interval_ = Clock::duration::zero();
    Clock::time_point next_{}, last_{};
    uint64_t leftOut_ = 0;
};

}  // namespace mooncake::nvmeof_generic
