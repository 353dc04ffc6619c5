// SPDX-License-Identifier: Apache-2.0
// Turns queued requests into I/Os: joins neighbours, splits what is large, and finds what must go
// through a bounce buffer. Pure: no system call, no lock, no clock.
#pragma once

#include <cstdint>

#include "operation.h"
#include "request.h"
#include "transport/nvmeof_generic_transport/io/io_options.h"

namespace mooncake::nvmeof_generic::io {

/// What a device and the options allow. All sizes are in bytes, all powers of two.
struct PlanRules {
    DirectIo mode;
    uint32_t blockSize;        ///< the device's logical block
    uint32_t memoryAlignment;  ///< what memory needs for direct I/O; at most blockSize
    uint32_t maxDirectBytes;   ///< largest direct I/O; at least blockSize
    uint32_t maxStagedBytes;   ///< largest I/O through bounce buffers; at least blockSize
    bool copyWrites = false;   ///< IoDeviceSpec::copyWrites
};

/// Checks a request before it is queued.
/// @param size  of the device
/// @return 0, or EINVAL: no memory or no bytes, beyond the device, an overflow, or misaligned where
///     the mode forbids it
int refusal(const PlanRules& rules, uint64_t size, const IoRequest& request);

enum class Joining : bool { kAllowed, kForbidden };

/// Cuts the next I/O from the head of `queue`, and takes requests out of it that are planned to
/// their end.
///
/// Requests that follow each other in the queue and on the device, with the same operation, become
/// one I/O wherever their memory lies, up to IOV_MAX pieces and the largest I/O; a request that is
/// larger gives several. An unaligned write gives a merge for the block at each edge and whole
/// blocks between them. Every byte of every request is planned exactly once, in the order of the
/// queue.
/// @param queue  not empty
/// @param operation  a fresh one; without memory for its pieces it carries fewer of them
void planNext(const PlanRules& rules, RequestQueue& queue, Joining joining, Operation& operation);

}  // namespace mooncake::nvmeof_generic::io
