// SPDX-License-Identifier: Apache-2.0
#include "read_section.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace mooncake {

ReadDomain::~ReadDomain() {
    destroy(std::move(retired_));
}

// One after the other: a long list must not end in as deep a recursion.
void ReadDomain::destroy(std::unique_ptr<Retired> list) noexcept {
    while (list) list = std::exchange(list->next_, nullptr);
}

// UINT64_MAX where there is none.
uint64_t ReadDomain::oldestSection() const noexcept {
    uint64_t oldest = UINT64_MAX;
    for (const ThreadSlot* slot = firstThreadSlot(); slot != nullptr; slot = slot->next) {
        // In this order: a section writes its domain first. A slot that changes to another domain
        // in between has left the section that the word stood for.
        const uint64_t entered = slot->entered.load(std::memory_order_seq_cst);
        if (entered != 0 && slot->domain.load(std::memory_order_relaxed) == this) {
            oldest = std::min(oldest, entered);
        }
    }
    return oldest;
}

void ReadDomain::retire(std::unique_ptr<Retired> object) noexcept {
    if (object) {
        std::lock_guard lock(mutex_);
        object->epoch_ = nextEpoch();
        std::unique_ptr<Retired>& end = retired_ ? newest_->next_ : retired_;
        newest_ = object.get();
        end = std::move(object);
    }
    collect();
}

void ReadDomain::collect() noexcept {
    std::unique_ptr<Retired> unused;
    {
        std::lock_guard lock(mutex_);
        if (!retired_) return;
        const uint64_t oldest = oldestSection();
        Retired* last_unused = nullptr;
        for (Retired* next = retired_.get(); next != nullptr && next->epoch_ <= oldest;
             next = next->next_.get()) {
            last_unused = next;
        }
        if (last_unused == nullptr) return;
        unused = std::exchange(retired_, std::move(last_unused->next_));
    }
    destroy(std::move(unused));
}

void ReadDomain::synchronize() noexcept {
    const uint64_t epoch = nextEpoch();
    std::chrono::microseconds pause(0);
    while (oldestSection() < epoch) {
        std::this_thread::sleep_for(pause);
        pause = std::min(2 * pause + std::chrono::microseconds(10), std::chrono::microseconds(500));
    }
}

}  // namespace mooncake
