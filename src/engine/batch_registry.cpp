// SPDX-License-Identifier: Apache-2.0
#include "batch_registry.h"

#include <chrono>
#include <ctime>
#include <new>
#include <string>
#include <thread>

#include "batch_poll.h"
#include "thread_slot.h"

namespace mooncake {

namespace {

// Slots that go to a thread, and from it, at once.
constexpr size_t kSlotsAtOnce = 16;
constexpr size_t kMostOwn = 64;

// Memory that free slots keep: for this many tasks those of a thread together, and each of those
// that are nobody's.
constexpr size_t kMostOwnTasks = 8192;
constexpr size_t kMostSharedTasks = 32;

// Different for each registry, so that one engine does not take the ids of another.
uint64_t someUse() {
    static std::atomic<uint64_t> registries{0};
    return registries.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b1;
}

}  // namespace

void Batch::open(size_t capacity) {
    task_list.reserve(capacity);
    batch_size = capacity;
    timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    start_timestamp = now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

void Batch::close(bool keep_memory) noexcept {
    if (keep_memory) {
        for (size_t i = 0; i < task_count; ++i) task_list[i].clear();
    } else {
        std::vector<Transport::TransferTask>().swap(task_list);
    }
    task_count = 0;
    ended = 0;
    ended_bytes = 0;
    ended_badly = false;
    context = nullptr;
}

bool Batch::advance() noexcept {
    for (; ended < task_count; ++ended) {
        const Transport::TransferStatus status = pollTask(task_list[ended]);
        if (status.s == Transport::WAITING) return false;
        ended_bytes += status.transferred_bytes;
        ended_badly = ended_badly || status.s == Transport::FAILED;
    }
    return true;
}

void BatchRegistry::FreeList::push(Slot& slot) noexcept {
    slot.next_free = std::exchange(first, &slot);
    ++count;
    tasks += slot.batch.task_list.capacity();
}

BatchRegistry::Slot* BatchRegistry::FreeList::pop() noexcept {
    Slot* const slot = first;
    if (slot == nullptr) return nullptr;
    first = slot->next_free;
    --count;
    tasks -= slot->batch.task_list.capacity();
    return slot;
}

// Uses go in a circle; no batch has the id 0, and so no use is.
uint64_t BatchRegistry::useAfter(uint64_t use) const {
    return use == kMostUses ? 1 : use + 1;
}

BatchRegistry::BatchRegistry(uint64_t uses)
    : first_use_(someUse() % kMostUses + 1), last_use_((first_use_ + uses - 2) % kMostUses + 1) {}

BatchRegistry::~BatchRegistry() {
    size_t left = 0;
    slots_.forEach([&left](const Slot& slot) {
        left += (slot.state.load(std::memory_order_relaxed) & kAlive) != 0;
    });
    LOG_IF(WARNING, left != 0) << left << " batches were never freed with freeBatchID";
}

// A thread that is held up here may be one of a lower priority, which yielding does not help.
void BatchRegistry::waitForHolder(int round) {
    if (round < 100) {
        std::this_thread::yield();
    } else {
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
}

// Null for a thread that has no slot, or without memory.
BatchRegistry::OwnList* BatchRegistry::ownList() noexcept {
    const ThreadSlot* const thread = ownThreadSlot();
    if (thread == nullptr || thread->number >= decltype(own_)::kMost) return nullptr;
    if (OwnList* const list = own_.find(thread->number)) return list;
    try {
        std::lock_guard lock(mutex_);
        return &own_.grow(thread->number, [](OwnList&, size_t) {});
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// With mutex_ held.
void BatchRegistry::addSlots(FreeList& list) {
    if (used_ >= decltype(slots_)::kMost) throw std::bad_alloc();
    slots_.grow(used_, [this](Slot& slot, size_t number) {
        slot.number = static_cast<uint32_t>(number);
        slot.state.store(first_use_ << kUseShift, std::memory_order_relaxed);
    });
    // Blocks are multiples of it.
    for (size_t i = 0; i < kSlotsAtOnce; ++i) list.push(*slots_.find(used_++));
}

BatchRegistry::Slot& BatchRegistry::takeFree() {
    OwnList* const own = ownList();
    if (own != nullptr) {
        if (Slot* const slot = own->pop()) return *slot;
    }
    std::lock_guard lock(mutex_);
    if (shared_.count == 0) addSlots(shared_);
    for (size_t i = 1; own != nullptr && i < kSlotsAtOnce && shared_.count > 1; ++i) {
        own->push(*shared_.pop());
    }
    return *shared_.pop();
}

void BatchRegistry::giveFree(Slot& slot) noexcept {
    if (OwnList* const own = ownList()) {
        own->push(slot);
        if (own->count <= kMostOwn) return;
        std::lock_guard lock(mutex_);
        for (size_t i = 0; i < kMostOwn / 2; ++i) {
            Slot* const moved = own->pop();
            if (moved->batch.task_list.capacity() > kMostSharedTasks) moved->batch.close(false);
            shared_.push(*moved);
        }
    } else {
        slot.batch.close(false);
        std::lock_guard lock(mutex_);
        shared_.push(slot);
    }
}

Transport::BatchID BatchRegistry::add(size_t capacity) {
    Slot& slot = takeFree();
    try {
        slot.batch.open(capacity);
    } catch (...) {
        giveFree(slot);
        throw;
    }
    const uint64_t use = slot.state.load(std::memory_order_relaxed) >> kUseShift;
    slot.batch.id = use << kNumberBits | slot.number;
    slot.state.store(use << kUseShift | kAlive, std::memory_order_release);
    return slot.batch.id;
}

Status BatchRegistry::remove(Transport::BatchID id) {
    Slot* const slot = slotOf(id);
    const uint64_t found = slot == nullptr ? 0 : hold(*slot, id, 0);
    if (found == 0) {
        return Status::InvalidArgument("there is no batch " + std::to_string(id) +
                                       "; was it freed before?");
    }
    if ((found & kSubmitters) != 0) {
        endHold(*slot, found, 0);
        return Status::BatchBusy("a submission to the batch is under way");
    }
    Batch& batch = slot->batch;
    if (!batch.advance()) {
        const size_t unfinished = batch.ended;
        endHold(*slot, found, 0);
        return Status::BatchBusy("task " + std::to_string(unfinished) +
                                 " of the batch is unfinished");
    }
    const OwnList* const own = ownList();
    const size_t kept = own == nullptr ? kMostOwnTasks : own->tasks;
    batch.close(kept + batch.task_list.capacity() <= kMostOwnTasks);
    const uint64_t use = found >> kUseShift;
    slot->state.store(useAfter(use) << kUseShift, std::memory_order_release);
    if (use != last_use_) giveFree(*slot);
    return Status::OK();
}

}  // namespace mooncake
