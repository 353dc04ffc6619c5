// SPDX-License-Identifier: Apache-2.0
// A request that waits or is in flight: one cache line, so that a million of them are no burden.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "chain.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// A request is cut into pieces, each carried by one operation; it ends when all of it has been
/// planned and every piece has ended. Pieces may end on several threads at once.
///
/// `planned` belongs to the thread that plans the request, or to the queue that holds it.
struct Request {
    /// In `outcome`: the kernel has had a write of one of its pieces, which may have had an effect.
    static constexpr uint16_t kWritten = 0x8000;
    static constexpr uint16_t kErrorMask = 0x7fff;

    Request* next;
    char* buffer;      ///< of the whole request, as are `offset` and `length`
    uint64_t offset;   ///< bytes from the start of the device
    uint64_t length;   ///< bytes
    uint64_t planned;  ///< bytes at its start that operations carry
    void* context;     ///< the caller's; of a retry, the Request of which it retries a piece
    std::atomic<uint64_t> moved;
    std::atomic<uint32_t> parts;    ///< pieces that have not ended, plus one until all is planned
    std::atomic<uint16_t> outcome;  ///< the first error of a piece, or 0; with kWritten
    uint16_t channel : 14;          ///< number of the channel whose memory it is
    uint16_t write : 1;
    uint16_t retry : 1;

    void start(IoOp op, void* memory, uint64_t from, uint64_t bytes, void* owner, bool isRetry) {
        next = nullptr;
        buffer = static_cast<char*>(memory);
        offset = from;
        length = bytes;
        planned = 0;
        context = owner;
        moved.store(0, std::memory_order_relaxed);
        parts.store(1, std::memory_order_relaxed);
        outcome.store(0, std::memory_order_relaxed);
        write = op == IoOp::kWrite;
        retry = isRetry;
    }

    IoOp op() const { return write ? IoOp::kWrite : IoOp::kRead; }
    // What has not been planned.
    char* restBuffer() const { return buffer + planned; }
    uint64_t restOffset() const { return offset + planned; }
    uint64_t restLength() const { return length - planned; }

    int error() const { return outcome.load(std::memory_order_relaxed) & kErrorMask; }
    void noteWritten() { outcome.fetch_or(kWritten, std::memory_order_relaxed); }

    /// Of one that has ended: whether it may be submitted anew as if it never had been. A read may
    /// always; a write of which the kernel has had a part may not.
    bool canBeReturned() const {
        const uint16_t now = outcome.load(std::memory_order_relaxed);
        return (now & kErrorMask) == ECANCELED &&
               (!write || ((now & kWritten) == 0 && moved.load(std::memory_order_relaxed) == 0));
    }

    /// Ends a piece. @return true when it was the last: the request has ended and is the caller's
    bool endPiece(int pieceError, uint64_t pieceMoved) {
        // Who holds the only part left is alone with the request.
        const bool alone = parts.load(std::memory_order_acquire) == 1;
        if (pieceError != 0) noteError(static_cast<uint16_t>(pieceError));
        if (alone) {
            moved.store(moved.load(std::memory_order_relaxed) + pieceMoved,
                        std::memory_order_relaxed);
            return true;
        }
        moved.fetch_add(pieceMoved, std::memory_order_relaxed);
        return parts.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

 private:
    /// The first error counts.
    void noteError(uint16_t pieceError) {
        uint16_t now = outcome.load(std::memory_order_relaxed);
        while ((now & kErrorMask) == 0 &&
               !outcome.compare_exchange_weak(now, static_cast<uint16_t>(now | pieceError),
                                              std::memory_order_relaxed)) {
        }
    }
};
static_assert(sizeof(Request) <= 64);

using RequestQueue = Chain<Request>;

}  // namespace mooncake::nvmeof_generic::io
