// SPDX-License-Identifier: Apache-2.0
// Requests that wait for their segment's connection or for their file's device.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <unordered_map>

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

/// First in, first out for each file. No call looks at requests that it does not take out, so that
/// with tens of thousands of them a call costs what it does with one. Not thread-safe.
class WaitingRequests {
 private:
    struct Entry;

 public:
    using Clock = WaitingRequest::Clock;
    /// By their deadlines; of those with the same one, the first that came is first.
    using Taken = std::multimap<Clock::time_point, Entry>;

    /// @param patience  how long a request may wait
    explicit WaitingRequests(std::chrono::milliseconds patience) : patience_(patience) {}
    WaitingRequests(const WaitingRequests&) = delete;
    WaitingRequests& operator=(const WaitingRequests&) = delete;

    /// Throws std::bad_alloc; then it is not added.
    /// @param since  when it began to wait: sets its deadline
    void add(WaitingRequest waiting, Clock::time_point since);

    bool empty() const { return all_.empty(); }
    size_t size() const { return all_.size(); }

    /// The earliest one; time_point::max() when nothing waits.
    Clock::time_point firstDeadline() const;

    /// When the first one may go, time_point::min() for at once. Something must wait. Looks at each
    /// file that requests wait for.
    Clock::time_point firstDue() const;

    struct Due {
        std::set<uint32_t> files;
        bool retries = false;  ///< some of the requests are
    };
    /// For which files there are requests that may go now. Throws std::bad_alloc. Looks at each
    /// file that requests wait for.
    Due due(Clock::time_point now) const;

    /// Lets the retries of a file that are due wait until later.
    void postponeRetries(uint32_t fileId, Clock::time_point now, Clock::time_point until) noexcept;

    // What follows takes requests out. It needs no memory, so none can be stuck for want of it.

    Taken takeAll() noexcept;
    /// Those whose deadline has come.
    Taken takeLate(Clock::time_point now) noexcept;
    /// All of a file.
    Taken takeFile(uint32_t fileId) noexcept;
    /// Those of a file that may go now.
    Taken takeDue(uint32_t fileId, Clock::time_point now) noexcept;
    /// Those of all files that may go now.
    Taken takeDue(Clock::time_point now) noexcept;

 private:
    /// Of one file, by when they may go: those that may go at once have the time 0.
    using Queue = std::multimap<Clock::time_point, Taken::iterator>;
    struct Entry {
        WaitingRequest waiting;
        Queue::iterator queued;

        operator const WaitingRequest&() const { return waiting; }
    };

    void move(Taken::iterator entry, Taken& to) noexcept;
    void moveDue(Queue& queue, Clock::time_point now, Taken& to) noexcept;
    void dropIfEmpty(uint32_t fileId) noexcept;

    const std::chrono::milliseconds patience_;
    Taken all_;
    std::unordered_map<uint32_t, Queue> files_;
};

}  // namespace mooncake::nvmeof_generic
