// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <type_traits>

namespace mooncake::nvmeof_generic::io {

/// A small array of trivial things whose first element needs no memory of its own, that keeps its
/// memory when it is cleared, and that says so instead of throwing when there is none.
template <class T>
class GrowArray {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
    GrowArray() = default;
    GrowArray(const GrowArray&) = delete;
    GrowArray& operator=(const GrowArray&) = delete;
    ~GrowArray() { release(); }

    /// Makes room for `capacity` elements in all; what was in the array is lost.
    /// @return false without memory for them; the capacity is then what it was
    bool reserve(uint32_t capacity) {
        if (capacity <= capacity_) return true;
        T* grown = static_cast<T*>(std::malloc(capacity * sizeof(T)));
        if (grown == nullptr) return false;
        release();
        data_ = grown;
        capacity_ = capacity;
        return true;
    }
    /// Gives the memory back; what was in the array is lost.
    void release() {
        if (data_ != &first_) std::free(data_);
        data_ = &first_;
        capacity_ = 1;
        size_ = 0;
    }

    /// Only while size() < capacity().
    void push(const T& value) { data_[size_++] = value; }
    void clear() { size_ = 0; }

    uint32_t size() const { return size_; }
    uint32_t capacity() const { return capacity_; }
    const T& operator[](size_t i) const { return data_[i]; }
    T* data() { return data_; }
    T* begin() { return data_; }
    T* end() { return data_ + size_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + size_; }

 private:
    T* data_ = &first_;
    uint32_t size_ = 0;
    uint32_t capacity_ = 1;
    T first_;
};

}  // namespace mooncake::nvmeof_generic::io
