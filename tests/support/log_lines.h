// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <glog/logging.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

namespace test_support {

/// What is logged while the object exists. Thread-safe.
class LogLines : public google::LogSink {
 public:
    LogLines() { google::AddLogSink(this); }
    ~LogLines() override { google::RemoveLogSink(this); }
    void send(google::LogSeverity, const char*, const char*, int, const google::LogMessageTime&,
              const char* message, size_t length) override {
        std::lock_guard lock(mutex_);
        lines_.emplace_back(message, length);
    }
    bool contain(const std::string& text) const {
        std::lock_guard lock(mutex_);
        return std::any_of(lines_.begin(), lines_.end(), [&](const std::string& line) {
            return line.find(text) != std::string::npos;
        });
    }
    std::string text() const {
        std::lock_guard lock(mutex_);
        std::string all;
        for (const std::string& line : lines_) all += line + "\n";
        return all;
    }

 private:
    mutable std::mutex mutex_;
    std::vector<std::string> lines_;
};

}  // namespace test_support
