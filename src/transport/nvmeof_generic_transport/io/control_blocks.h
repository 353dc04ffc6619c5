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

/// Whether io_submit may wait until the device can take the I/O. With kForbidden (RWF_NOWAIT) an
/// I/O may end with EAGAIN, or with EOPNOTSUPP where the device cannot tell.
enum class Waiting : bool { kForbidden, kAllowed };

/// Prepares the batch's operations for io_submit. Each gets a control block and becomes kInKernel;
/// data that is to be written is copied into its bounce buffers. If there is no memory for the
/// vectors, an operation asks for a part of what is left of it.
/// @return how many operations cannot be submitted, because the memory of their requests cannot be
///     read. They have been moved to the front of the batch; failUnsent() ends them
size_t prepare(const BouncePool& bounce, Waiting waiting, Submission& submission);

}  // namespace mooncake::nvmeof_generic::io
