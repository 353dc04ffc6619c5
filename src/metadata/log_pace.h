// SPDX-License-Identifier: Apache-2.0
// How often one kind of trouble is worth a line in the log.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace mooncake {

// The first line at once, the next after 1 s, doubling to 5 minutes; from the start again after 5
// minutes without any. Whatever its rhythm, it costs some 300 lines a day. Not thread-safe.
class LogPace {
 public:
    using Clock = std::chrono::steady_clock;

    // How many lines were left out since the last one, or nothing: leave this one out, too.
    std::optional<uint64_t> admit(Clock::time_point now) {
        const bool quiet = now - std::exchange(last_, now) >= kLongest;
        if (now < next_) {
            ++left_out_;
            return std::nullopt;
        }
        interval_ =
            quiet ? kShortest : std::clamp<Clock::duration>(interval_ * 2, kShortest, kLongest);
        next_ = now + interval_;
        return std::exchange(left_out_, 0);
    }

 private:
    static constexpr Clock::duration kShortest = std::chrono::seconds(1);
    static constexpr Clock::duration kLongest = std::chrono::minutes(5);

    Clock::duration interval_ = Clock::duration::zero();
    Clock::time_point last_{};
    Clock::time_point next_{};
    uint64_t left_out_ = 0;
};

// "" or " (n such lines were left out since the last one)".
inline std::string leftOutText(uint64_t left_out) {
    if (left_out == 0) return "";
    return " (" + std::to_string(left_out) + " such lines were left out since the last one)";
}

// A pace for each name that there is trouble with. Thread-safe.
class NamedLogPace {
 public:
    std::optional<uint64_t> admit(const std::string& name,
                                  LogPace::Clock::time_point now = LogPace::Clock::now()) {
        std::lock_guard lock(mutex_);
        // Whoever asks for so many names that are not there gets their lines anew.
        if (paces_.size() >= kNames && paces_.count(name) == 0) paces_.clear();
        return paces_[name].admit(now);
    }

 private:
    static constexpr size_t kNames = 4096;

    std::mutex mutex_;
    std::map<std::string, LogPace> paces_;
};

}  // namespace mooncake
