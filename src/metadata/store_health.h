// SPDX-License-Identifier: Apache-2.0
// Says in the log when a store goes and when it is back.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "metadata_storage.h"

namespace mooncake {

// One line when the store goes, one when it is back, at most one a minute between, and no more than
// that for a store that comes and goes. Thread-safe.
class StoreHealth {
 public:
    using Clock = std::chrono::steady_clock;

    // What an operation, with its retries, came to.
    void note(const MetadataStorage::Result& result, Clock::time_point now = Clock::now());

 private:
    std::mutex mutex_;
    bool away_ = false;
    bool said_ = false;         // that it is away
    uint64_t failed_ = 0;       // operations since the last line
    Clock::time_point since_;   // when it went
    Clock::time_point next_{};  // no line that it is away before
};

}  // namespace mooncake
