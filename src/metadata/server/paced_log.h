// SPDX-License-Identifier: Apache-2.0
// Lines for the operator, not more of them than somebody can read.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>

namespace mooncake {

// Every function may be called from any thread.
class PacedLog {
 public:
    using Clock = std::chrono::steady_clock;
    using Sink = std::function<void(const std::string& line)>;  // one call at a time

    // Up to `burst` lines at once and `per_second` in the long run; the others are counted, and
    // their number is told with the next line.
    PacedLog(Sink sink, size_t burst = 100, double per_second = 10)
        : sink_(std::move(sink)), burst_(burst), rate_(per_second), credit_(burst) {}

    void write(const std::string& line, Clock::time_point now = Clock::now());

 private:
    const Sink sink_;
    const size_t burst_;
    const double rate_;
    std::mutex mutex_;
    double credit_;
    Clock::time_point last_{};
    size_t left_out_ = 0;
};

// Fit for a line: bytes that are not printable as \xNN, and not more than 200 of them.
std::string logText(const std::string& bytes);

}  // namespace mooncake
