// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mooncake::nvmeof_generic {

/// How bytes travel between the caller's memory and an opened block device.
///
/// The device is opened with O_DIRECT in every mode, since the page cache cannot be made coherent
/// with the other initiators of a namespace: pages that anyone on this host has mapped, holds a
/// reference to or is just reading survive POSIX_FADV_DONTNEED, and a write of part of a page
/// brings its old neighbours back. What differs is whose memory the device sees.
///
/// An unaligned write reads the blocks at its edges, merges and writes them back. Among
/// devices that share a WriteGuard, as all openings of a namespace in a process do, that never
/// loses bytes of another write; two processes that write different bytes of the same block at the
/// same time can lose one of the writes.
enum class DirectIo {
    kOn,    ///< always the caller's memory; misaligned requests fail with EINVAL
    kOff,   ///< never the caller's memory: every byte is copied through a buffer of the pool, so
            ///< that memory which changes during I/O, or a process that forks, cannot disturb a
            ///< transfer
    kAuto,  ///< the caller's memory; a bounce buffer where memory, offset or length are not aligned
};

struct IoOptions {
    DirectIo directIo = DirectIo::kAuto;
    uint32_t numWorkers = 8;    ///< upper bound of threads that share the load, 1 to 256
    uint32_t queueDepth = 512;  ///< I/Os in flight per device, 1 to 1024: what 4 queues of 128 hold
    size_t maxIoBytes = 1 << 20;  ///< largest single I/O; a power of two, 4 KiB to 16 MiB
    /// Busy wait for completions while I/O is in flight, 0 to 1000; it is skipped for a while after
    /// it was in vain.
    std::chrono::microseconds spin{0};
    size_t bounceBytes = 64 << 20;  ///< bound of the memory for bounce buffers, 64 KiB to 64 GiB
    bool durableWrites = false;     ///< a write completes only when it is stable at the target
};

}  // namespace mooncake::nvmeof_generic
