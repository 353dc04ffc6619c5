// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace mooncake::nvmeof_generic::io {

/// Things that are linked by a member of their own, first in, first out. It does not own them; a
/// thing is in one chain of the member at most.
template <class T, T* T::*kNext = &T::next>
class Chain {
 public:
    Chain() = default;
    Chain(Chain&& other) noexcept
        : head_(std::exchange(other.head_, nullptr)), tail_(std::exchange(other.tail_, nullptr)) {}
    Chain& operator=(Chain&& other) noexcept {
        head_ = std::exchange(other.head_, nullptr);
        tail_ = std::exchange(other.tail_, nullptr);
        return *this;
    }

    bool empty() const { return head_ == nullptr; }
    T* head() const { return head_; }

    void push(T* one) {
        one->*kNext = nullptr;
        (tail_ != nullptr ? tail_->*kNext : head_) = one;
        tail_ = one;
    }
    /// @return null when it is empty
    T* pop() {
        T* const one = head_;
        if (one != nullptr) {
            head_ = one->*kNext;
            if (head_ == nullptr) tail_ = nullptr;
        }
        return one;
    }
    void append(Chain&& other) {
        if (other.empty()) return;
        (tail_ != nullptr ? tail_->*kNext : head_) = other.head_;
        tail_ = other.tail_;
        other.head_ = other.tail_ = nullptr;
    }

 private:
    T* head_ = nullptr;
    T* tail_ = nullptr;
};

}  // namespace mooncake::nvmeof_generic::io
