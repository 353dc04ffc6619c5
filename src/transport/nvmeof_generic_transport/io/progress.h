// SPDX-License-Identifier: Apache-2.0
// What threads of the program do that ask for the end of their requests, or wait for it.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "aio_syscalls.h"
#include "bounce_pool.h"
#include "channels.h"
#include "completion.h"
#include "conditions.h"

namespace mooncake::nvmeof_generic::io {

/// A thread reaps its own channel, and sleeps in it. Nothing depends on that: what a thread leaves
/// lying others reap, at the latest the monitor.
///
/// A thread that waits for requests of others sleeps on a count of what has ended, which is kept
/// only as long as there is such a thread.
///
/// Thread-safe.
class Progress {
 public:
    Progress(AioSyscalls& aio, const Conditions& conditions, BouncePool& bounce, Channels& channels,
             DeviceServer& server)
        : aio_(aio),
          conditions_(conditions),
          bounce_(bounce),
          channels_(channels),
          server_(server) {}

    /// As IoPool::poll().
    bool poll();
    /// As IoPool::wait().
    bool wait(std::chrono::nanoseconds limit);

    /// Requests have ended: lets threads look that wait for those of others.
    /// @param by  the calling thread's channel, or null: to that thread it is no news
    void noteEnded(Channel* by);

    enum class Sweep {
        kIdle,      ///< no thread has I/O in flight
        kAttended,  ///< the threads that have come back for it
        kLeft,      ///< some has been left lying, and was dealt with
    };
    /// Deals with what has been left lying. By the monitor, once in a round.
    Sweep sweep();

    /// Deals with what has completed on the channel of a worker that is stuck. By the monitor.
    void reapStuck(Channel& channel) { reap(channel, nullptr); }

    /// Whether no thread of the program has I/O in flight.
    bool idle() const;

 private:
    bool isLeft(const Channel& channel, uint64_t tick) const;
    uint64_t reap(Channel& channel, Channel* mine);
    bool reapOthers(Channel* mine);
    bool waitForOthers(Channel* mine, std::chrono::nanoseconds limit);
    bool hasWaiters() const;

    AioSyscalls& aio_;
    const Conditions& conditions_;
    BouncePool& bounce_;
    Channels& channels_;
    DeviceServer& server_;
    alignas(64) std::atomic<uint64_t> waitTick_{0};  // when a thread last waited for others
    std::atomic<uint32_t> sleepers_{0};              // that do
    alignas(64) std::atomic<uint32_t> ends_{0};      // that were told of; a futex
};

}  // namespace mooncake::nvmeof_generic::io
