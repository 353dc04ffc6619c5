// SPDX-License-Identifier: Apache-2.0
// Memory that shares its cache lines with nobody. The heap puts small blocks side by side, whoever
// asked for them: two threads that write each what is their own then wait for each other's line.
#pragma once

#include <cstddef>
#include <new>

namespace mooncake {

template <class T>
struct LineAllocator {
    using value_type = T;

    LineAllocator() = default;
    template <class U>
    explicit LineAllocator(const LineAllocator<U>&) noexcept {}

    T* allocate(size_t count) {
        const size_t bytes = (count * sizeof(T) + kLine - 1) / kLine * kLine;
        return static_cast<T*>(::operator new(bytes, std::align_val_t(kLine)));
    }
    void deallocate(T* memory, size_t) noexcept {
        ::operator delete(memory, std::align_val_t(kLine));
    }
    bool operator==(const LineAllocator&) const = default;

 private:
    static constexpr size_t kLine = 64;
};

}  // namespace mooncake
