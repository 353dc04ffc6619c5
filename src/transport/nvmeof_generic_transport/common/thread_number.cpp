// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/thread_number.h"

#include <pthread.h>

#include <array>
#include <bit>
#include <cstddef>
#include <mutex>
#include <new>

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint32_t kShared = kThreadNumbers - 1;

// The number and 1; 0 before the thread's first call, and after its end.
thread_local uint32_t own = 0;

/// Which numbers are taken. A key of the threads library and not a thread_local object tells of a
/// thread's end: an object with a destructor would keep this library mapped until the thread ends,
/// and be gone when the thread's other objects still count.
class Numbers {
 public:
    Numbers();
    // With the library; threads that end after that keep their number.
    ~Numbers() {
        if (hasKey_) pthread_key_delete(key_);
    }

    uint32_t take() noexcept {
        if (!hasKey_) return kShared;
        uint32_t number = kShared;
        {
            const std::lock_guard lock(mutex_);
            for (size_t word = 0; word < taken_.size() && number == kShared; ++word) {
                const auto bit = static_cast<uint32_t>(std::countr_one(taken_[word]));
                if (bit == 64) continue;
                number = static_cast<uint32_t>(word) * 64 + bit;
                taken_[word] |= uint64_t{1} << bit;
            }
        }
        if (number == kShared) return kShared;
        // Without memory for it nobody would give it back.
        void* const value = reinterpret_cast<void*>(uintptr_t{number} + 1);
        if (pthread_setspecific(key_, value) == 0) return number;
        free(number);
        return kShared;
    }

 private:
    static void giveBack(void* value) noexcept;
    void free(uint32_t number) noexcept {
        const std::lock_guard lock(mutex_);
        taken_[number / 64] &= ~(uint64_t{1} << number % 64);
    }

    pthread_key_t key_ = 0;
    const bool hasKey_;
    std::mutex mutex_;
    std::array<uint64_t, kThreadNumbers / 64> taken_ = [] {
        std::array<uint64_t, kThreadNumbers / 64> none{};
        none.back() = uint64_t{1} << 63;  // the shared one
        return none;
    }();
};

Numbers numbers;

// In a forked child a thread of the parent may have the mutex, which is not there any more.
Numbers::Numbers() : hasKey_(pthread_key_create(&key_, &Numbers::giveBack) == 0) {
    pthread_atfork(nullptr, nullptr, [] { new (&numbers.mutex_) std::mutex; });
}

void Numbers::giveBack(void* value) noexcept {
    own = 0;
    numbers.free(static_cast<uint32_t>(reinterpret_cast<uintptr_t>(value) - 1));
}

}  // namespace

uint32_t threadNumber() noexcept {
    if (own == 0) own = numbers.take() + 1;
    return own - 1;
}

}  // namespace mooncake::nvmeof_generic
