// SPDX-License-Identifier: Apache-2.0
// Lines in the log about one kind of trouble, or about the trouble with each of many names.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "transport/nvmeof_generic_transport/common/log_pace.h"

namespace mooncake {

using nvmeof_generic::LogPace;

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
