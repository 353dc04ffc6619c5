// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "transport/nvmeof_generic_transport/common/log_pace.h"

namespace mooncake::nvmeof_generic {

/// A LogPace for each line's text, where the trouble belongs to no object that could keep one.
/// Thread-safe.
class PacedLines {
 public:
    /// @return whether to write the line; `text` has the lines left out then
    bool admit(std::string& text, LogPace::Clock::time_point now = LogPace::Clock::now()) {
        std::lock_guard guard(mutex_);
        // Texts that others make up must not fill the memory: all begin anew then.
        if (paces_.size() >= kMost && !paces_.contains(text)) paces_.clear();
        const auto left = paces_[text].admit(now);
        if (!left) return false;
        if (*left != 0) text += " (" + std::to_string(*left) + " such lines left out)";
        return true;
    }

    size_t size() const {
        std::lock_guard guard(mutex_);
        return paces_.size();
    }

 private:
    static constexpr size_t kMost = 4096;
    mutable std::mutex mutex_;
    std::map<std::string, LogPace> paces_;
};

}  // namespace mooncake::nvmeof_generic
