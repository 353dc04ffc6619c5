// SPDX-License-Identifier: Apache-2.0
// Copies between the memory of requests and the bounce buffers of their operation.
#pragma once

#include <cstdint>

#include "bounce_pool.h"
#include "operation.h"

namespace mooncake::nvmeof_generic::io {

// Both return false where memory of a piece cannot be touched; which piece it is is not told.

/// From the pieces into the bounce buffers.
[[nodiscard]] bool copyIn(const BouncePool& bounce, const Operation& operation);

/// From the bounce buffers into the pieces. @param valid  bytes at the start of the transfer that
/// were read; what lies behind them is not touched
[[nodiscard]] bool copyOut(const BouncePool& bounce, const Operation& operation, uint32_t valid);

}  // namespace mooncake::nvmeof_generic::io
