// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace mooncake::nvmeof_generic {

/// How bytes travel between the caller's memory and an opened block device.
enum class DirectIo {
    kOn,    ///< direct I/O only; misaligned requests fail
    kOff,   ///< buffered I/O, written through, never served from an old page
    kAuto,  ///< direct I/O; a bounce buffer where memory, offset or length are not aligned
};

struct IoOptions {
    DirectIo directIo = DirectIo::kAuto;
    uint32_t numWorkers = 8;      ///< upper bound of I/O threads, 1 to 256
    uint32_t queueDepth = 128;    ///< I/Os in flight per device, 1 to 1024
    size_t maxIoBytes = 1 << 20;  ///< largest single I/O; a power of two, 4 KiB to 16 MiB
    std::chrono::microseconds spin{
        0};                         ///< busy wait for completions while I/O is in flight, 0 to 1000
    size_t bounceBytes = 64 << 20;  ///< bound of the memory for bounce buffers
    bool durableWrites = false;     ///< a write completes only when it is stable at the target
};

}  // namespace mooncake::nvmeof_generic
