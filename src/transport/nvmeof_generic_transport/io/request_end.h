// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "aio_syscalls.h"
#include "channels.h"
#include "device.h"

namespace mooncake::nvmeof_generic::io {

/// Ends requests: tells the listener, gives the record back to the channel that it comes from, and
/// lets that channel's owner know. For one thread, as long as one call lasts.
class RequestEnd {
 public:
    /// @param mine  the calling thread's channel, or null
    RequestEnd(Channels& channels, AioSyscalls& aio, Channel* mine)
        : channels_(channels), aio_(aio), mine_(mine) {}

    Channel* mine() const { return mine_; }

    /// Ends a request's piece, or the part of it that was not planned.
    /// @param error  0 or a positive errno value
    /// @param moved  bytes of the piece, at its start, that were moved for certain
    void endPiece(Device& device, Request* request, int error, uint64_t moved);

    /// A record for a retry of a piece. @return null without memory
    Request* allocate();

    /// Requests of callers that have ended so far.
    uint64_t ended() const { return ended_; }

 private:
    static void tell(IoListener& listener, const Request& request);

    Channels& channels_;
    AioSyscalls& aio_;
    Channel* const mine_;
    uint64_t ended_ = 0;
};

}  // namespace mooncake::nvmeof_generic::io
