// SPDX-License-Identifier: Apache-2.0
// The limits of every request to a metadata store, whatever its kind, in one place.
#pragma once

#include <chrono>
#include <cstddef>

namespace mooncake {

struct StoreLimits {
    std::chrono::milliseconds connect{3000};
    // Of a whole operation: connecting, retries and the pauses between them included.
    std::chrono::milliseconds total{10000};
    int attempts = 3;
    std::chrono::milliseconds pause{100};  // before the first retry; doubled before each further
    std::size_t answer_bytes = std::size_t{8} << 20;
};

}  // namespace mooncake
