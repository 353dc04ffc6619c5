// SPDX-License-Identifier: Apache-2.0
// Writes that are over in the kernel, and whose end is not told yet.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "aio_syscalls.h"
#include "channels.h"
#include "operation.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

class Dispatcher;
class Progress;

/// Where a device has several paths the kernel repeats what a lost one had over another, and may
/// still send the first copy until it has closed the lost one's sockets, from the memory of the
/// write. So the caller is not given that memory back, nor told that the write is over and another
/// one of the same place may come, before the device says that nothing can be sent any more
/// (IoDeviceSpec::lossWithCopies). Then the first copy has come before, or never comes.
///
/// A write that is held back keeps its place of the device, its blocks and bounce buffers. The
/// monitor looks in each of its rounds. Thread-safe; the mutex is a leaf.
class HeldBack {
 public:
    using Clock = std::chrono::steady_clock;
    /// For how long a write is held back at most; then it ends with ETIMEDOUT.
    static constexpr std::chrono::milliseconds kLongest{12000};

    HeldBack(AioSyscalls& aio, Channels& channels, Dispatcher& dispatcher)
        : aio_(aio), channels_(channels), dispatcher_(dispatcher) {}

    /// Takes writes in, and sees to it that the monitor looks.
    void add(OperationQueue&& writes);
    bool empty() const { return count_.load(std::memory_order_seq_cst) == 0; }

    /// Ends what need not be held back any more. By the monitor.
    void look(Progress& progress, Clock::time_point now);

 private:
    AioSyscalls& aio_;
    Channels& channels_;
    Dispatcher& dispatcher_;
    std::atomic<uint32_t> count_{0};
    Mutex mutex_;
    OperationQueue held_ MC_GUARDED_BY(mutex_);
};

}  // namespace mooncake::nvmeof_generic::io
