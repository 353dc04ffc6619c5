// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace test_support {

/// What is logged while the object exists. Thread-safe. To be there before the threads that write:
/// the locks inside glog are unknown to ThreadSanitizer.
class LogLines : public google::LogSink {
 public:
    /// @param least  lines of a lower severity do not count
    explicit LogLines(google::LogSeverity least = google::GLOG_INFO) : least_(least) {
        google::AddLogSink(this);
    }
    ~LogLines() override {
        google::RemoveLogSink(this);
        // Who wrote the last line was waited for under glog's lock, which is unknown as well.
        std::lock_guard lock(mutex_);
    }
    void send(google::LogSeverity severity, const char*, const char*, int,
              const google::LogMessageTime&, const char* message, size_t length) override {
        if (severity < least_) return;
        std::lock_guard lock(mutex_);
        lines_.emplace_back(message, length);
        arrived_.notify_all();
    }

    /// How many lines have `text` in them.
    size_t count(const std::string& text = "") const {
        std::lock_guard lock(mutex_);
        return static_cast<size_t>(std::count_if(
            lines_.begin(), lines_.end(),
            [&](const std::string& line) { return line.find(text) != std::string::npos; }));
    }
    bool contain(const std::string& text) const { return count(text) > 0; }
    std::string text() const {
        std::lock_guard lock(mutex_);
        std::string all;
        for (const std::string& line : lines_) all += line + "\n";
        return all;
    }
    /// The lines since this was called before.
    std::vector<std::string> take() {
        std::lock_guard lock(mutex_);
        awaited_.clear();
        return std::exchange(lines_, {});
    }
    /// Waits, within a generous limit, for a line with `text` that no call has waited for before.
    bool waitFor(const std::string& text) {
        std::unique_lock lock(mutex_);
        return arrived_.wait_for(lock, std::chrono::seconds(60), [&] {
            for (size_t i = 0; i < lines_.size(); ++i) {
                const bool has = lines_[i].find(text) != std::string::npos;
                if (has && awaited_.insert(i).second) return true;
            }
            return false;
        });
    }

 private:
    const google::LogSeverity least_;
    mutable std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<std::string> lines_;
    std::set<size_t> awaited_;
};

}  // namespace test_support
