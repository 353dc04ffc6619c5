// SPDX-License-Identifier: Apache-2.0
#include "paced_log.h"

#include <algorithm>
#include <cstdio>

namespace mooncake {

void PacedLog::write(const std::string& line, Clock::time_point now) {
    std::lock_guard lock(mutex_);
    if (last_ != Clock::time_point()) {
        const std::chrono::duration<double> passed = now - last_;
        credit_ = std::min(static_cast<double>(burst_), credit_ + passed.count() * rate_);
    }
    last_ = now;
    if (credit_ < 1) {
        ++left_out_;
        return;
    }
    credit_ -= 1;
    if (left_out_ != 0) sink_(std::to_string(left_out_) + " lines were left out");
    left_out_ = 0;
    sink_(line);
}

std::string logText(const std::string& bytes) {
    std::string text;
    for (const char c : bytes.substr(0, 200)) {
        if (c >= ' ' && c <= '~' && c != '\\') {
            text += c;
            continue;
        }
        char escaped[5];
        std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<unsigned char>(c));
        text += escaped;
    }
    return bytes.size() > 200 ? text + "..." : text;
}

}  // namespace mooncake
