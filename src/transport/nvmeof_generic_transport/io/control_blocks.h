// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/uio.h>

#include <array>

#include "batch.h"
#include "bounce_pool.h"
#include "grow_array.h"

namespace mooncake::nvmeof_generic::io {

/// What one thread needs to submit a batch. The kernel copies the control blocks and the vectors
/// before io_submit returns, so that one set serves all batches.
struct Submission {
    Batch batch;
    std::array<iocb*, Batch::kMostOperations> controls;
    GrowArray<iovec> vectors;  ///< memory that stays for the next batch
};

/// Whether io_submit may wait until the device can take the I/O. Where it may not, an I/O may end
/// with EAGAIN, or EOPNOTSUPP from a device that cannot tell (RWF_NOWAIT).
enum class Waiting : bool { kForbidden, kAllowed };

/// Fills in the control blocks of the batch's operations for their next system call each, and says
/// that the kernel has them; copies what is to be written into the bounce buffers. Without memory
/// for the vectors an operation asks for less than what is left of it.
/// @return how many operations, now at the front of the batch, have no control block: the memory of
///     their requests cannot be read (failUnsent())
size_t prepare(const BouncePool& bounce, Waiting waiting, Submission& submission);

}  // namespace mooncake::nvmeof_generic::io
