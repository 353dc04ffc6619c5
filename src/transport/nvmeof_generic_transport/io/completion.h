// SPDX-License-Identifier: Apache-2.0
// What a result of the kernel means for an operation and for the requests that it carries.
#pragma once

#include <libaio.h>

#include <cstdint>

#include "aio_context.h"
#include "bounce_pool.h"
#include "device.h"
#include "request_end.h"

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

/// Ends an operation, or finds out what is still to be done for it. Takes no lock.
///
/// A write that the kernel may have repeated, and of which it may still send the first copy, is
/// held back (Device::holdsBack()).
///
/// An operation of several pieces that failed is tried once more piece by piece, to tell the
/// requests that touch a bad range from those that do not. That is safe for writes as for reads:
/// the requests have not ended, so their memory is unchanged, and nothing that was submitted
/// meanwhile is ordered behind them.
/// @param completions  gets what Device::finish() must be told
void complete(const BouncePool& bounce, Operation& operation, int64_t result, RequestEnd& end,
              Completions& completions);

/// Ends a write that was held back.
/// @param error  0, or a positive errno value: then nobody knows what will have become of it
void endHeld(Operation& write, int error, RequestEnd& end, Completions& completions);

/// The same as complete() for one that has been started and that the kernel has not been given.
/// @param error  positive errno value
void failUnsent(Operation& operation, int error, RequestEnd& end, Completions& completions);

/// Who sees to a device that can do something.
class DeviceServer {
 public:
    /// @param mine  the calling thread's channel
    virtual void serve(Device& device, Channel& mine) = 0;

 protected:
    ~DeviceServer() = default;
};

/// Deals with what has been reaped from a context: ends the requests, and tells the devices.
/// @param server  for devices that can do something then; null: workers see to it
void settle(const BouncePool& bounce, AioContext& context, const io_event* events, int count,
            RequestEnd& end, DeviceServer* server);

/// Ends all that is queued with ECANCELED, and gives back the requests that may be submitted anew.
/// By the worker that has the device's turn.
void cancelQueued(Device& device, RequestEnd& end);

/// Ends requests that a device has refused because it is shut.
/// @param planned  an operation that carries some of them; null: none
void cancel(Device& device, Operation* planned, RequestQueue& requests, RequestEnd& end);

}  // namespace mooncake::nvmeof_generic::io
