// SPDX-License-Identifier: Apache-2.0
#include "staging_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

namespace mooncake::store {
namespace {

std::byte* reserve(size_t bytes) {
    void* const memory =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    return static_cast<std::byte*>(memory);
}

}  // namespace

StagingPool::StagingPool(size_t bytes)
    : chunks_(std::max<size_t>((bytes + kLargestStaging - 1) / kLargestStaging, 1)),
      memory_(reserve(size())),
      free_order_(size() / kSmallestStaging, kTaken) {
    for (size_t chunk = chunks_; chunk-- > 0;) push(memory_ + chunk * kLargestStaging, kOrders - 1);
}

StagingPool::~StagingPool() {
    munmap(memory_, size());
}

unsigned StagingPool::orderOf(size_t length) {
    const size_t units = (length + kSmallestStaging - 1) / kSmallestStaging;
    return static_cast<unsigned>(std::bit_width(units - 1));
}

size_t StagingPool::unitOf(const void* buffer) const {
    return static_cast<size_t>(static_cast<const std::byte*>(buffer) - memory_) / kSmallestStaging;
}

void StagingPool::push(std::byte* buffer, unsigned order) {
    Free* const entry = new (buffer) Free{nullptr, free_[order]};
    if (entry->next != nullptr) entry->next->previous = entry;
    free_[order] = entry;
    free_order_[unitOf(buffer)] = static_cast<uint8_t>(order);
}

void StagingPool::remove(Free* buffer, unsigned order) {
    if (buffer->next != nullptr) buffer->next->previous = buffer->previous;
    (buffer->previous != nullptr ? buffer->previous->next : free_[order]) = buffer->next;
    free_order_[unitOf(buffer)] = kTaken;
}

std::byte* StagingPool::take(size_t length) noexcept {
    const unsigned wanted = orderOf(length);
    const std::lock_guard lock(mutex_);
    unsigned order = wanted;
    while (order < kOrders && free_[order] == nullptr) ++order;
    if (order == kOrders) return nullptr;
    Free* const found = free_[order];
    remove(found, order);
    auto* const buffer = reinterpret_cast<std::byte*>(found);
    // The upper half of what is too large stays free.
    while (order > wanted) {
        --order;
        push(buffer + (kSmallestStaging << order), order);
    }
    in_use_ += kSmallestStaging << wanted;
    return buffer;
}

void StagingPool::give(std::byte* buffer, size_t length) noexcept {
    unsigned order = orderOf(length);
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        in_use_ -= kSmallestStaging << order;
        for (; order + 1 < kOrders; ++order) {
            const size_t other = unitOf(buffer) ^ (size_t{1} << order);
            if (free_order_[other] != order) break;
            std::byte* const buddy = memory_ + other * kSmallestStaging;
            remove(reinterpret_cast<Free*>(buddy), order);
            buffer = std::min(buffer, buddy);
        }
        push(buffer, order);
        ++returns_;
        wake = waiting_ != 0;
    }
    if (wake) given_.notify_all();
}

uint64_t StagingPool::returns() const noexcept {
    const std::lock_guard lock(mutex_);
    return returns_;
}

void StagingPool::waitForMore(uint64_t returns,
                              std::chrono::steady_clock::time_point until) noexcept {
    std::unique_lock lock(mutex_);
    ++waiting_;
    given_.wait_until(lock, until, [&] { return returns_ != returns; });
    --waiting_;
}

size_t StagingPool::inUse() const noexcept {
    const std::lock_guard lock(mutex_);
    return in_use_;
}

}  // namespace mooncake::store
