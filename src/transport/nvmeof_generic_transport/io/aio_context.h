// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libaio.h>

#include <atomic>
#include <cstdint>

#include "aio_syscalls.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// A context of the kernel's asynchronous I/O, and how full it is.
struct AioContext {
    io_context_t context = nullptr;
    uint32_t capacity = 0;  ///< I/Os that it may hold
    /// Of them. Release before I/O is submitted, acquire before its end is dealt with: what one
    /// thread has submitted another may reap.
    std::atomic<uint32_t> inFlight{0};

    /// Counts an io_submit. @param taken  I/Os that it took  @param owner  whether the calling
    /// thread is the one whose context it is
    void noteSubmit(uint32_t taken, bool owner) {
        if (owner) {
            calls_.store(calls_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            ios_.store(ios_.load(std::memory_order_relaxed) + taken, std::memory_order_relaxed);
        } else {
            guestCalls_.fetch_add(1, std::memory_order_relaxed);
            guestIos_.fetch_add(taken, std::memory_order_relaxed);
        }
    }
    void addTo(SubmitCounts& counts) const {
        counts.calls +=
            calls_.load(std::memory_order_relaxed) + guestCalls_.load(std::memory_order_relaxed);
        counts.ios +=
            ios_.load(std::memory_order_relaxed) + guestIos_.load(std::memory_order_relaxed);
    }

    uint32_t freeSlots() const {
        const uint32_t used = inFlight.load(std::memory_order_relaxed);
        return used < capacity ? capacity - used : 0;
    }

 private:
    // The owner's are not added to but replaced, which costs less.
    std::atomic<uint64_t> calls_{0}, ios_{0};
    std::atomic<uint64_t> guestCalls_{0}, guestIos_{0};
};

/// Sets the context up, a smaller one where the system does not grant `entries`. One place of it is
/// kept for AioSyscalls::wake().
/// Needs no memory.
/// @return 0, or an errno: EAGAIN when fs.aio-max-nr leaves none at all
int openContext(AioSyscalls& aio, uint32_t entries, AioContext& context) noexcept;

/// What that errno means.
Error contextError(int code);

}  // namespace mooncake::nvmeof_generic::io
