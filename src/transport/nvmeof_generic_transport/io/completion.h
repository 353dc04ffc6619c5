// SPDX-License-Identifier: Apache-2.0
// What a result of the kernel means for an operation and for the requests that it carries.
#pragma once

#include <cstdint>

#include "bounce_pool.h"
#include "device.h"

namespace mooncake::nvmeof_generic::io {

struct Verdict {
    enum Step {
        kDone,    ///< all of it has been moved
        kRepeat,  ///< another system call has to move the rest
        kFailed,  ///< no more of it will be moved
        kEnded,   ///< the device has no more bytes for it
    };
    Step step;
    int error;       ///< positive errno value of kFailed and kEnded
    uint32_t valid;  ///< bytes at its start moved for certain
};

/// Judges the result of the present system call and notes the progress in the operation.
/// @param result  io_event.res as a signed number: bytes, or a negative errno value
Verdict judge(Operation& operation, uint32_t blockSize, int64_t result);

/// Ends an operation, or finds out what is still to be done for it, and tells the listener of the
/// requests that have ended with it. Takes no lock, apart from one to retry pieces.
///
/// An operation of several pieces that failed is tried once more piece by piece, to tell the
/// requests that touch a bad range from those that do not. That is safe for writes as for reads:
/// the requests have not ended, so their memory is unchanged, and nothing that was submitted
/// meanwhile is ordered behind them.
/// @param harvest  gets what Device::gather() must be told
void complete(const BouncePool& bounce, Operation& operation, int64_t result, Harvest& harvest);

/// Ends a request of which a piece, or the part not planned, has just ended.
void endRequestPart(Device& device, Request* request, int error, uint64_t moved, Harvest& harvest);

/// Ends all that is queued with ECANCELED, and gives back the requests of which the kernel never
/// had a part.
void cancelQueued(Device& device, Harvest& harvest);

}  // namespace mooncake::nvmeof_generic::io
