// SPDX-License-Identifier: Apache-2.0
// Memory for what cannot go straight from or to the caller's.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace mooncake::store {

constexpr size_t kLargestStaging = 256 << 10;
constexpr size_t kSmallestStaging = 4 << 10;

// A fixed amount of memory in buffers of 4 KiB to 256 KiB, each a power of two and aligned to 4
// KiB: a buddy system. Of a buffer that was never used one page counts.
//
// Thread rule: any thread.
class StagingPool {
 public:
    // Has `bytes`, rounded up to whole buffers of the largest size; one of these at least. Throws
    // std::bad_alloc.
    explicit StagingPool(size_t bytes);
    ~StagingPool();
    StagingPool(const StagingPool&) = delete;
    StagingPool& operator=(const StagingPool&) = delete;

    // A buffer of `length` bytes at least, 1 to kLargestStaging, or null where none is free now.
    std::byte* take(size_t length) noexcept;
    // With the length that it was taken with.
    void give(std::byte* buffer, size_t length) noexcept;

    // Counts what was given back. Read before a take() that fails, for waitForMore().
    uint64_t returns() const noexcept;
    // Returns once something was given back after `returns`, or at that time.
    void waitForMore(uint64_t returns, std::chrono::steady_clock::time_point until) noexcept;

    size_t size() const { return chunks_ * kLargestStaging; }
    size_t inUse() const noexcept;

 private:
    // Lies in the memory of a free buffer.
    struct Free {
        Free* previous;
        Free* next;
    };
    static constexpr unsigned kOrders = 7;  // 4 KiB << 0 to 6
    static constexpr uint8_t kTaken = UINT8_MAX;

    static unsigned orderOf(size_t length);
    size_t unitOf(const void* buffer) const;
    void push(std::byte* buffer, unsigned order);
    void remove(Free* buffer, unsigned order);

    const size_t chunks_;
    std::byte* const memory_;
    mutable std::mutex mutex_;
    std::condition_variable given_;
    std::array<Free*, kOrders> free_{};
    // Of each 4 KiB: the order of the free buffer that begins there, else kTaken.
    std::vector<uint8_t> free_order_;
    uint64_t returns_ = 0;
    size_t in_use_ = 0;  // bytes
    unsigned waiting_ = 0;
};

}  // namespace mooncake::store
