// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "operation.h"
#include "request_slab.h"

namespace mooncake::nvmeof_generic::io {

/// What other threads give back. Thread-safe; takeAll() is the owner's.
template <class T>
class ReturnStack {
 public:
    void push(T* one) {
        T* top = top_.load(std::memory_order_relaxed);
        do {
            one->next = top;
        } while (!top_.compare_exchange_weak(top, one, std::memory_order_release,
                                             std::memory_order_relaxed));
    }
    /// @return a chain by `next`
    T* takeAll() {
        if (top_.load(std::memory_order_relaxed) == nullptr) return nullptr;
        return top_.exchange(nullptr, std::memory_order_acquire);
    }

 private:
    std::atomic<T*> top_{nullptr};
};

/// The records of requests and operations of one channel. They are the owner's to allocate, and may
/// be freed by any thread. Nothing is allocated from the system as long as no more are in use than
/// have been before.
class ChannelMemory {
 public:
    ChannelMemory() = default;
    ChannelMemory(const ChannelMemory&) = delete;
    ChannelMemory& operator=(const ChannelMemory&) = delete;
    /// All records must have been freed.
    ~ChannelMemory();

    /// @return null without memory
    Request* allocateRequest() {
        if (!requests_.hasFree()) collectRequests();
        return requests_.allocate();
    }
    /// @return a clear one; null without memory
    Operation* allocateOperation() {
        if (operations_ == nullptr) collectOperations();
        if (operations_ == nullptr) return newOperation();
        --operationCount_;
        return std::exchange(operations_, operations_->next);
    }

    /// @param owner  whether the calling thread owns the channel
    void free(Request* request, bool owner) {
        owner ? requests_.free(request) : returnedRequests_.push(request);
    }
    void free(Operation* operation, bool owner) {
        owner ? keep(operation) : returnedOperations_.push(operation);
    }

    /// Gives memory that a great burst has left back, if nothing is in use. The owner's.
    void trim() {
        if (requests_.footprint() > kKeptBytes) trimRequests();
    }
    /// Gives all memory back that is not in use. The owner's, or anybody's where there is none.
    void release();

 private:
    static constexpr size_t kKeptBytes = 1 << 20;
    static constexpr uint32_t kKeptOperations = 1024;

    void collectRequests();
    void collectOperations();
    void trimRequests();
    void keep(Operation* operation);
    static Operation* newOperation();

    RequestSlab requests_;
    Operation* operations_ = nullptr;
    uint32_t operationCount_ = 0;
    alignas(64) ReturnStack<Request> returnedRequests_;
    ReturnStack<Operation> returnedOperations_;
};

}  // namespace mooncake::nvmeof_generic::io
