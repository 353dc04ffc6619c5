// SPDX-License-Identifier: Apache-2.0
// What went wrong during a run, from all threads: the first few in words, all of them in numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace mooncake::bench {

/// Thread-safe.
class RunLog {
 public:
    static constexpr size_t kMaxLines = 10;

    void add(std::string line) {
        const std::lock_guard lock(mutex_);
        ++count_;
        if (lines_.size() < kMaxLines) lines_.push_back(std::move(line));
    }
    /// More of the same, without words.
    void addUnnamed(uint64_t count) {
        const std::lock_guard lock(mutex_);
        count_ += count;
    }
    uint64_t count() const {
        const std::lock_guard lock(mutex_);
        return count_;
    }
    /// The first kMaxLines, and one that says how many were left out.
    std::vector<std::string> lines() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::string> lines = lines_;
        if (count_ > lines_.size()) {
            lines.push_back("... and " + std::to_string(count_ - lines_.size()) + " more");
        }
        return lines;
    }

 private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
    uint64_t count_ = 0;
};

}  // namespace mooncake::bench
