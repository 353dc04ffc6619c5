// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <mutex>

#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::nvmeof_generic {

/// How the publications of this node's record went. Thread-safe.
class PublicationLog {
 public:
    using Clock = std::chrono::steady_clock;

    /// @param error  of a call that publishes: 0 for success. @return `error`
    int note(int error, Clock::time_point now = Clock::now()) {
        std::lock_guard guard(mutex_);
        published_ = error == 0;
        if (published_) {
            ++succeeded_;
            last_ = now;
        } else {
            ++failed_;
        }
        return error;
    }

    void fill(TargetStats& stats, Clock::time_point now = Clock::now()) const {
        std::lock_guard guard(mutex_);
        stats.published = published_;
        stats.publications = succeeded_;
        stats.publicationFailures = failed_;
        if (succeeded_ != 0) {
            stats.sincePublication = std::chrono::duration<double>(now - last_).count();
        }
    }

 private:
    mutable std::mutex mutex_;
    bool published_ = false;
    uint64_t succeeded_ = 0, failed_ = 0;
    Clock::time_point last_{};
};

}  // namespace mooncake::nvmeof_generic
