// SPDX-License-Identifier: Apache-2.0
// What follows the end of I/O, on whichever thread has reaped it.
#pragma once

#include <libaio.h>

#include "aio_context.h"
#include "bounce_pool.h"
#include "completion.h"
#include "device.h"

namespace mooncake::nvmeof_generic::io {

/// Tells a device what has become of its I/O. It may be gone afterwards.
/// @param announce  called with each device that has thereby become ready, and its lane
template <class Announce>
void deliver(BouncePool& bounce, Device& device, Harvest& harvest, const Announce& announce) {
    harvest.ended.forEach([&](const Operation& operation) {
        if (operation.chunkCount == 0) return;
        BounceAccount* waiting =
            bounce.release(device.bounceAccount(), operation.chunkCount, operation.chunks);
        while (waiting != nullptr) {
            Device& other = *waiting->device;
            waiting = waiting->next;
            if (const Readiness ready = other.bounceFreed()) announce(other, *ready);
        }
    });
    if (const Readiness ready = device.gather(harvest)) announce(device, *ready);
}

/// Deals with what has been reaped from a context.
/// @param announce  as for deliver()
/// @return how many I/Os have ended
template <class Announce>
uint32_t settle(BouncePool& bounce, AioContext& context, const io_event* events, int count,
                const Announce& announce) {
    if (count == 0) return 0;
    context.inFlight.load(std::memory_order_acquire);  // see there
    Harvest harvest;
    Device* device = nullptr;
    uint32_t ended = 0;
    for (int i = 0; i < count; ++i) {
        auto* operation = static_cast<Operation*>(events[i].data);
        if (operation == nullptr) continue;  // AioSyscalls::wake()
        if (operation->device != device) {
            if (device != nullptr) deliver(bounce, *device, harvest, announce);
            device = operation->device;
        }
        ++ended;
        complete(bounce, *operation, static_cast<int64_t>(events[i].res), harvest);
    }
    if (device == nullptr) return 0;
    deliver(bounce, *device, harvest, announce);
    context.inFlight.fetch_sub(ended, std::memory_order_relaxed);
    return ended;
}

}  // namespace mooncake::nvmeof_generic::io
