// SPDX-License-Identifier: Apache-2.0
// A request that waits or is in flight: one cache line, so that a million of them are no burden.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// A request is cut into pieces, each carried by one operation; it ends when all of it has been
/// planned and every piece has ended. Pieces may end on several threads at once.
///
/// `buffer`, `offset` and `length` describe what has not been planned yet, and once the device has
/// been shut also what was planned and never reached the kernel (unplan()); they belong to the
/// queue and are guarded by the device's mutex.
struct Request {
    Request* next;
    char* buffer;
    uint64_t offset;
    uint64_t length;
    void* context;  ///< the caller's; of a retry, the Request of which it retries a piece
    std::atomic<uint64_t> moved;
    std::atomic<uint32_t> parts;  ///< pieces that have not ended, plus one while length > 0
    std::atomic<int32_t> error;   ///< the first error of a piece, or 0
    IoOp op;
    bool isRetry;
    std::atomic<bool> reached;  ///< a piece that did not end well had been handed to the kernel

    void start(IoOp operation, void* memory, uint64_t from, uint64_t bytes, void* owner,
               bool retry) {
        next = nullptr;
        buffer = static_cast<char*>(memory);
        offset = from;
        length = bytes;
        context = owner;
        moved.store(0, std::memory_order_relaxed);
        parts.store(1, std::memory_order_relaxed);
        error.store(0, std::memory_order_relaxed);
        op = operation;
        isRetry = retry;
        reached.store(false, std::memory_order_relaxed);
    }

    /// Takes back what was planned of it. @param at  the piece's first byte on the device
    void unplan(char* memory, uint64_t at, uint32_t bytes) {
        // Pieces come in any order, and what has not been planned lies behind them all.
        if (at < offset) {
            offset = at;
            buffer = memory;
        }
        length += bytes;
    }

    /// Of one that has ended: whether no byte of it was ever handed to the kernel. Then `buffer`,
    /// `offset` and `length` are all of it again.
    bool untouched() const {
        return error.load(std::memory_order_relaxed) == ECANCELED &&
               moved.load(std::memory_order_relaxed) == 0 &&
               !reached.load(std::memory_order_relaxed);
    }

    /// Ends a piece. @return true when it was the last: the request has ended and is the caller's
    bool endPiece(int pieceError, uint64_t pieceMoved) {
        if (pieceError != 0) {
            int32_t none = 0;
            error.compare_exchange_strong(none, pieceError, std::memory_order_relaxed);
        }
        // Who holds the only part left is alone with the request.
        if (parts.load(std::memory_order_acquire) == 1) {
            moved.store(moved.load(std::memory_order_relaxed) + pieceMoved,
                        std::memory_order_relaxed);
            return true;
        }
        moved.fetch_add(pieceMoved, std::memory_order_relaxed);
        return parts.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }
};
static_assert(sizeof(Request) <= 64);

/// A chain of requests, first in, first out. It does not own them.
class RequestQueue {
 public:
    RequestQueue() = default;
    RequestQueue(RequestQueue&& other) noexcept
        : head_(std::exchange(other.head_, nullptr)), tail_(std::exchange(other.tail_, nullptr)) {}
    RequestQueue& operator=(RequestQueue&& other) noexcept {
        head_ = std::exchange(other.head_, nullptr);
        tail_ = std::exchange(other.tail_, nullptr);
        return *this;
    }

    bool empty() const { return head_ == nullptr; }
    Request* head() const { return head_; }

    void push(Request* request) {
        request->next = nullptr;
        (tail_ != nullptr ? tail_->next : head_) = request;
        tail_ = request;
    }
    Request* pop() {
        Request* request = head_;
        if (request != nullptr) {
            head_ = request->next;
            if (head_ == nullptr) tail_ = nullptr;
        }
        return request;
    }
    void append(RequestQueue&& other) {
        if (other.empty()) return;
        (tail_ != nullptr ? tail_->next : head_) = other.head_;
        tail_ = other.tail_;
        other.head_ = other.tail_ = nullptr;
    }

 private:
    Request* head_ = nullptr;
    Request* tail_ = nullptr;
};

}  // namespace mooncake::nvmeof_generic::io
