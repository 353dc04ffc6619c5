// SPDX-License-Identifier: Apache-2.0
// I/O that the program's own threads hand to the kernel.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "aio_syscalls.h"
#include "bounce_pool.h"
#include "channels.h"
#include "completion.h"
#include "conditions.h"
#include "device.h"
#include "dispatcher.h"
#include "request_end.h"

namespace mooncake::nvmeof_generic::io {

/// Where a program looks after its transfers all the time (IoPool::poll()), a worker that is woken
/// for each submit and each completion costs more than the I/O. So a thread plans its requests
/// itself and submits them on its own channel. It never waits: what cannot start at once, or would
/// block, is left to the device's backlog and the workers.
///
/// Thread-safe; threads do not meet, but at a device's word of what is in flight.
class CallerSubmit final : public DeviceServer {
 public:
    CallerSubmit(AioSyscalls& aio, const Conditions& conditions, BouncePool& bounce,
                 Channels& channels, Dispatcher& dispatcher, size_t smallBytes)
        : aio_(aio),
          conditions_(conditions),
          bounce_(bounce),
          channels_(channels),
          dispatcher_(dispatcher),
          smallBytes_(smallBytes) {}

    /// From now on the program polls.
    void enablePolling() { polls_.store(true, std::memory_order_relaxed); }

    /// As IoPool::submit().
    void submit(const IoItem* items, size_t count, Submitter who) noexcept;

    /// Submits what the device has, where that is one batch that need not wait; else has a worker
    /// do it.
    void serve(Device& device, Channel& mine) override;

 private:
    class Call;

    /// Requests that are put in order together.
    static constexpr size_t kWindow = 256;
    /// For more it pays to wake a worker that sleeps.
    static constexpr size_t kSmall = 8;

    bool isSmall(const IoItem* items, size_t count) const;
    bool comesBack(const Channel* mine) const;
    void flush(Channel& mine, AioContext& context, Submission& submission);

    AioSyscalls& aio_;
    const Conditions& conditions_;
    BouncePool& bounce_;
    Channels& channels_;
    Dispatcher& dispatcher_;
    const size_t smallBytes_;
    std::atomic<bool> polls_{false};
};

}  // namespace mooncake::nvmeof_generic::io
