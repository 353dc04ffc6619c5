// SPDX-License-Identifier: Apache-2.0
// Lets calls in until it is closed, and tells when the last one has left.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace mooncake::store {

class CallGate {
 public:
    // Of one call: true where it was let in.
    class Pass {
     public:
        explicit Pass(CallGate* gate) : gate_(gate) {}
        Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
        Pass& operator=(Pass&&) = delete;
        ~Pass() {
            if (gate_ != nullptr) gate_->leave();
        }
        explicit operator bool() const { return gate_ != nullptr; }

     private:
        CallGate* gate_;
    };

    Pass enter() {
        if ((state_.fetch_add(kCall, std::memory_order_acquire) & kClosed) == 0) return Pass(this);
        leave();
        return Pass(nullptr);
    }

    // Returns when all who were let in have left.
    void close() {
        state_.fetch_or(kClosed, std::memory_order_acq_rel);
        for (uint64_t now = state_.load(); now != kClosed; now = state_.load()) state_.wait(now);
    }

    bool isClosed() const { return (state_.load(std::memory_order_acquire) & kClosed) != 0; }

 private:
    static constexpr uint64_t kClosed = 1;
    static constexpr uint64_t kCall = 2;

    void leave() {
        if ((state_.fetch_sub(kCall, std::memory_order_acq_rel) & kClosed) != 0) {
            state_.notify_all();
        }
    }

    std::atomic<uint64_t> state_{0};
};

}  // namespace mooncake::store
