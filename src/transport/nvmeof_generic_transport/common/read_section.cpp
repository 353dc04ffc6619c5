// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/read_section.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread_number.h"

namespace mooncake::nvmeof_generic {

/// Of one thread, alone on its cache lines.
struct alignas(128) ReadSection::Slot {
    std::atomic<uint64_t> epoch{0};  // when the outermost section of the thread began; 0: none
    uint32_t depth = 0;              // the thread's own
};

namespace {

constexpr size_t kChunk = 64;

// Goes up with each object that is retired. A reader notes it before it reads, so an object is
// retired in an epoch that no later reader has.
std::atomic<uint64_t> epoch{1};
// Readers that have no slot: too many threads, or no memory. While there is one, nothing is freed.
std::atomic<uint64_t> slotless{0};

}  // namespace

// Slots are made when they are needed and stay, since their threads' numbers are given on.
struct ReadSection::Slots {
    /// @return null where there is none, and none can be made
    static Slot* of(uint32_t thread) noexcept {
        if (thread == kThreadNumbers - 1) return nullptr;  // which threads share
        const size_t at = thread / kChunk;
        if (at == 0) return &first[thread];
        Slot* chunk = further[at].load();
        if (chunk == nullptr) {
            auto* const made = new (std::nothrow) Slot[kChunk];
            if (made == nullptr) return nullptr;
            if (further[at].compare_exchange_strong(chunk, made)) {
                chunk = made;
            } else {
                delete[] made;
            }
        }
        return &chunk[thread % kChunk];
    }

    template <class Test>
    static bool any(const Test& test) noexcept {
        for (size_t at = 0; at < further.size(); ++at) {
            Slot* const chunk = at == 0 ? first.data() : further[at].load();
            if (chunk != nullptr && std::any_of(chunk, chunk + kChunk, test)) return true;
        }
        return false;
    }

 private:
    static constinit std::array<Slot, kChunk> first;
    static constinit std::array<std::atomic<Slot*>, kThreadNumbers / kChunk> further;
};

constinit std::array<ReadSection::Slot, kChunk> ReadSection::Slots::first;
constinit std::array<std::atomic<ReadSection::Slot*>, kThreadNumbers / kChunk>
    ReadSection::Slots::further;

bool ReadSection::anyBefore(uint64_t limit) noexcept {
    return slotless.load() != 0 || Slots::any([limit](const Slot& slot) {
               const uint64_t began = slot.epoch.load();
               return began != 0 && began <= limit;
           });
}

ReadSection::ReadSection() noexcept : slot_(Slots::of(threadNumber())) {
    if (slot_ == nullptr) {
        slotless.fetch_add(1);
    } else if (slot_->depth++ == 0) {
        slot_->epoch.store(epoch.load());
    }
}

ReadSection::~ReadSection() {
    if (slot_ == nullptr) {
        slotless.fetch_sub(1);
    } else if (--slot_->depth == 0) {
        slot_->epoch.store(0, std::memory_order_release);
    }
}

Retired::~Retired() {
    destroy(first_);
}

void Retired::destroy(Retirable* list) noexcept {
    while (list != nullptr) delete std::exchange(list, list->next_);
}

void Retired::add(std::unique_ptr<Retirable> object) noexcept {
    if (!object) return;
    const std::lock_guard lock(mutex_);
    object->epoch_ = epoch.fetch_add(1);
    object->next_ = first_;
    first_ = object.release();
}

bool Retired::collect() noexcept {
    Retirable* free = nullptr;
    bool empty = true;
    {
        const std::lock_guard lock(mutex_);
        // Who was retired later is further in front; whatever is behind one that may go, may go.
        Retirable** at = &first_;
        while (*at != nullptr && ReadSection::anyBefore((*at)->epoch_)) at = &(*at)->next_;
        free = std::exchange(*at, nullptr);
        empty = first_ == nullptr;
    }
    destroy(free);
    return empty;
}

}  // namespace mooncake::nvmeof_generic
