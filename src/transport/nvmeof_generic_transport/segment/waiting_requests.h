// SPDX-License-Identifier: Apache-2.0
// Requests that wait for their segment's connection or for their file's device.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic {

struct WaitingRequest {
    using Clock = std::chrono::steady_clock;

    uint32_t fileId;
    IoRequest request;
    int retries;                    ///< attempts beyond the next one
    Clock::time_point notBefore{};  ///< of a retry; others may go at once
    Clock::time_point deadline{};   ///< by which it must have been sent

    bool isRetry() const { return notBefore != Clock::time_point{}; }
};

/// First in, first out for each file. Not thread-safe.
class WaitingRequests {
 public:
    using Clock = WaitingRequest::Clock;
    using Predicate = std::function<bool(const WaitingRequest&)>;

    /// @param patience  how long a request may wait
    explicit WaitingRequests(std::chrono::milliseconds patience) : patience_(patience) {}

    /// @param since  when it began to wait: sets its deadline
    void add(WaitingRequest waiting, Clock::time_point since);

    bool empty() const { return waiting_.empty(); }
    size_t size() const { return waiting_.size(); }

    /// The earliest one; time_point::max() when nothing waits.
    Clock::time_point firstDeadline() const;

    /// When the first one may go, time_point::min() for at once. Something must wait.
    Clock::time_point firstDue() const;

    struct Due {
        std::set<uint32_t> files;
        bool retries = false;  ///< some of the requests are
    };
    /// For which files there are requests that may go now.
    Due due(Clock::time_point now) const;

    /// Lets the retries of a file that are due wait until later.
    void postponeRetries(uint32_t fileId, Clock::time_point now, Clock::time_point until);

    /// Takes out those that `which` picks, in their order.
    std::vector<WaitingRequest> take(const Predicate& which);

 private:
    const std::chrono::milliseconds patience_;
    std::vector<WaitingRequest> waiting_;
    size_t retries_ = 0;  // of them
};

}  // namespace mooncake::nvmeof_generic
