// SPDX-License-Identifier: Apache-2.0
// The engine's slices, as requests of the segments.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "segment/request_owner.h"
#include "slice_clock.h"
#include "transport/transport.h"

namespace mooncake::nvmeof_generic {

// Ends a slice. The poller may free task and slice as soon as the last slice of the task has ended.
inline void endSlice(void* context, int error) {
    auto* slice = static_cast<Transport::Slice*>(context);
    if (error == 0) {
        slice->markSuccess();
    } else {
        slice->markFailed();
    }
}

/// The segments' view of the engine's slices, which are the requests' contexts.
class SliceOwner final : public RequestOwner {
 public:
    Place placeOf(const void* context) const noexcept override {
        const auto* slice = static_cast<const Transport::Slice*>(context);
        return {slice->target_id, slice->file_id};
    }
    Clock::time_point submittedAt(const void* context) const noexcept override {
        const auto* slice = static_cast<const Transport::Slice*>(context);
        return Clock::now() - std::chrono::nanoseconds(nanosecondsSince(slice->ts));
    }
    void onEnded(void* context, int error, uint64_t bytes,
                 FileCounters& counters) noexcept override {
        const auto* slice = static_cast<Transport::Slice*>(context);
        counters.noteEnd(slice->opcode == Transport::TransferRequest::READ ? Direction::kRead
                                                                           : Direction::kWrite,
                         error, bytes, nanosecondsSince(slice->ts));
        endSlice(context, error);
    }
};

}  // namespace mooncake::nvmeof_generic
