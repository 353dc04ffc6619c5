// SPDX-License-Identifier: Apache-2.0
// When a slice was posted, for Slice::ts.
#pragma once

#include <chrono>
#include <cstdint>

namespace mooncake::nvmeof_generic {

/// Now, as a slice keeps it: always below 0. Mooncake's engine takes a ts above 0 for the time of
/// day, and with MC_SLICE_TIMEOUT set it would call the slice timed out, at once or later, while
/// the kernel may still write to its buffer. Requests have limits of their own here.
inline int64_t sliceClock() {
    return -(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

/// Nanoseconds that have passed since `posted`, which sliceClock() gave.
inline uint64_t nanosecondsSince(int64_t posted) {
    return static_cast<uint64_t>(posted - sliceClock());
}

}  // namespace mooncake::nvmeof_generic
