// SPDX-License-Identifier: Apache-2.0
// Keeps a client's lease alive, in a thread of its own.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "counters.h"
#include "directory_types.h"
#include "error.h"

namespace mooncake::store {

class LeaseKeeper {
 public:
    // @return until when the lease holds; kLeaseLost where there is none any more
    using Renew = std::function<Result<BootClock::time_point>(ClientId, Deadline)>;

    LeaseKeeper(std::chrono::milliseconds duration, Counters* counters, Renew renew)
        : duration_(duration), counters_(counters), renew_(std::move(renew)) {}
    ~LeaseKeeper() { stop(); }
    LeaseKeeper(const LeaseKeeper&) = delete;
    LeaseKeeper& operator=(const LeaseKeeper&) = delete;

    // Ends the one before.
    // kInternal without a thread; then there is no lease.
    Result<> start(ClientId client, BootClock::time_point end);
    // @return whom it kept alive, 0 if nobody
    ClientId stop();
    Lease lease() const;

 private:
    void run();

    const std::chrono::milliseconds duration_;
    Counters* const counters_;
    const Renew renew_;
    std::mutex life_;  // of the thread: held by start and stop
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    Lease lease_;
    std::thread thread_;
};

}  // namespace mooncake::store
