// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libaio.h>

#include <chrono>

namespace aio_shim {

/// Passes `control` to the kernel when `delay` is over, or, held, after releaseHeld(). Keeps a copy
/// of the control block and its list of buffers, as the kernel does; so io_event::obj is the
/// copy's address, and io_event::data the caller's.
void submitLater(io_context_t context, const iocb& control, std::chrono::microseconds delay,
                 bool held);
void releaseHeld();

}  // namespace aio_shim
