// SPDX-License-Identifier: Apache-2.0
#include "batch_registry.h"

#include <algorithm>
#include <ctime>
#include <new>
#include <string>

#include "batch_poll.h"

namespace mooncake {

namespace {

// Taken from the blocks at once.
constexpr size_t kSlotsAtOnce = 16;

// Memory of tasks that free slots keep: this many tasks each, in this many slots of a shard.
constexpr size_t kKeptTasks = 512;
constexpr size_t kKeepingSlots = 64;

uint32_t numberOfThisThread() {
    static std::atomic<uint32_t> next{0};
    thread_local const uint32_t number = next.fetch_add(1, std::memory_order_relaxed);
    return number;
}

// Different for each registry, so that one engine does not take the ids of another.
uint64_t someUse() {
    static std::atomic<uint64_t> registries{0};
    return registries.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b1;
}

}  // namespace

void Batch::open(size_t capacity) {
    task_list.reserve(capacity);
    batch_size = capacity;
    tasks = task_list.data();
    timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    start_timestamp = now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void Batch::close(bool keep_memory) noexcept {
    const size_t count = task_count.load(std::memory_order_relaxed);
    if (keep_memory && task_list.capacity() <= kKeptTasks) {
        for (size_t i = 0; i < count; ++i) task_list[i].clear();
    } else {
        std::vector<Transport::TransferTask>().swap(task_list);
    }
    task_count.store(0, std::memory_order_relaxed);
    context = nullptr;
}

uint64_t BatchRegistry::useAfter(uint64_t use) {
    return std::max<uint64_t>((use + 1) & kUseMask, 1);  // no batch has the id 0
}

BatchRegistry::BatchRegistry() : first_use_(useAfter(someUse())) {}

BatchRegistry::~BatchRegistry() {
    size_t left = 0;
    for (size_t block = 0; block < kBlocks; ++block) {
        Slot* const slots = blocks_[block].load(std::memory_order_relaxed);
        if (slots == nullptr) break;
        for (size_t i = 0; i < kFirstBlock << block; ++i) {
            left += (slots[i].state.load(std::memory_order_relaxed) & kAlive) != 0;
        }
        delete[] slots;
    }
    LOG_IF(WARNING, left != 0) << left << " batches were never freed with freeBatchID";
}

void BatchRegistry::addSlots(Shard& shard, uint32_t home) {
    std::lock_guard lock(growing_);
    const Place place = placeOf(used_);
    if (used_ >= kMostSlots) throw std::bad_alloc();
    Slot* block = blocks_[place.block].load(std::memory_order_relaxed);
    if (block == nullptr) {
        const size_t count = kFirstBlock << place.block;
        block = new Slot[count];
        for (size_t i = 0; i < count; ++i) {
            block[i].state.store(first_use_ << kUseShift, std::memory_order_relaxed);
            block[i].number = static_cast<uint32_t>(used_ + i);
        }
        blocks_[place.block].store(block, std::memory_order_release);
    }
    for (size_t i = place.index; i < place.index + kSlotsAtOnce; ++i) {
        block[i].home = home;
        block[i].next_free = std::exchange(shard.free, &block[i]);
    }
    shard.count.fetch_add(kSlotsAtOnce, std::memory_order_relaxed);
    used_ += kSlotsAtOnce;
}

BatchRegistry::Slot* BatchRegistry::takeFree() {
    const uint32_t home = numberOfThisThread() % kShards;
    Shard& shard = shards_[home];
    std::lock_guard lock(shard.mutex);
    if (shard.free == nullptr) addSlots(shard, home);
    Slot* const slot = shard.free;
    shard.free = slot->next_free;
    shard.count.fetch_sub(1, std::memory_order_relaxed);
    return slot;
}

void BatchRegistry::giveFree(Slot& slot) {
    // To where it came from: a thread that frees what another makes would collect slots otherwise.
    Shard& shard = shards_[slot.home];
    std::lock_guard lock(shard.mutex);
    slot.next_free = std::exchange(shard.free, &slot);
    shard.count.fetch_add(1, std::memory_order_relaxed);
}

Transport::BatchID BatchRegistry::add(size_t capacity) {
    Slot* const slot = takeFree();
    try {
        slot->batch.open(capacity);
    } catch (...) {
        giveFree(*slot);
        throw;
    }
    const uint64_t use = slot->state.load(std::memory_order_relaxed) >> kUseShift;
    slot->batch.id = use << 32 | slot->number;
    slot->state.store(use << kUseShift | kAlive, std::memory_order_release);
    return slot->batch.id;
}

Status BatchRegistry::remove(Transport::BatchID id) {
    Slot* const slot = slotOf(id);
    uint64_t state = slot == nullptr ? 0 : slot->state.load(std::memory_order_relaxed);
    for (;;) {
        if (!isOf(state, id)) {
            return Status::InvalidArgument("there is no batch " + std::to_string(id) +
                                           "; was it freed before?");
        }
        if ((state & kUsers) >= kSubmitter) {
            return Status::BatchBusy("a submission to the batch is under way");
        }
        if ((state & (kClosing | kUsers)) != 0) {
            // Others who poll or free it; each takes moments.
            std::this_thread::yield();
            state = slot->state.load(std::memory_order_relaxed);
        } else if (slot->state.compare_exchange_weak(state, state + kClosing,
                                                     std::memory_order_acquire,
                                                     std::memory_order_relaxed)) {
            break;
        }
    }
    Batch& batch = slot->batch;
    const size_t count = batch.task_count.load(std::memory_order_relaxed);
    for (size_t i = 0; i < count; ++i) {
        if (!taskEnded(batch.tasks[i])) {
            slot->state.fetch_sub(kClosing, std::memory_order_release);
            return Status::BatchBusy("task " + std::to_string(i) + " of the batch is unfinished");
        }
    }
    batch.close(shards_[slot->home].count.load(std::memory_order_relaxed) < kKeepingSlots);
    slot->state.store(useAfter(state >> kUseShift) << kUseShift, std::memory_order_release);
    giveFree(*slot);
    return Status::OK();
}

}  // namespace mooncake
