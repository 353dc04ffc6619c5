// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libaio.h>

#include <chrono>

namespace aio_shim {

/// What the device takes for a request: that from its submission on at least, and, one request
/// after the other, that for its bytes. Of all requests the first is the same.
struct Latency {
    std::chrono::microseconds delay;
    std::chrono::nanoseconds transfer;
};

/// Passes `control` to the kernel when its time is over, or, held, after releaseHeld(). Keeps a
/// copy of the control block and its list of buffers, as the kernel does; so io_event::obj is the
/// copy's address, and io_event::data the caller's.
void submitLater(io_context_t context, const iocb& control, Latency latency, bool held);
void releaseHeld();

}  // namespace aio_shim
