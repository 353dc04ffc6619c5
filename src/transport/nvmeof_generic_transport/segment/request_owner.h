// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "file_counters.h"

namespace mooncake::nvmeof_generic {

/// Whose requests the segments carry. A request is known by its context, which means something to
/// its owner alone. Every function may be called from any thread, several at once, and must neither
/// block nor throw.
class RequestOwner {
 public:
    using Clock = std::chrono::steady_clock;

    struct Place {
        uint64_t segment;
        uint32_t file;
    };

    virtual ~RequestOwner() = default;
    /// What a request names. Not after its end.
    virtual Place placeOf(const void* context) const noexcept = 0;
    virtual Clock::time_point submittedAt(const void* context) const noexcept = 0;
    /// Ends a request; its context is not used any more.
    /// @param error  0 or a positive errno value
    /// @param bytes  that moved for certain
    /// @param counters  of its file, to be told of the end
    virtual void onEnded(void* context, int error, uint64_t bytes,
                         FileCounters& counters) noexcept = 0;
};

}  // namespace mooncake::nvmeof_generic
