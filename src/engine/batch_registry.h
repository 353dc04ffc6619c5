// SPDX-License-Identifier: Apache-2.0
// The batches that are alive. A BatchID comes from the program and may be anything: here it is
// checked before there is a batch for it. It is the number of a slot and, above it, how often the
// slot has been used, so that the id of a batch that was freed is not taken for its successor's.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <mutex>
#include <thread>

#include "transport/transport.h"

namespace mooncake {

// Slots are used again, and so is the memory of their tasks: a program that makes a batch for each
// request allocates nothing.
struct Batch : Transport::BatchDesc {
    // Throws std::bad_alloc or std::length_error for a capacity beyond memory; then the batch is as
    // it was.
    void open(size_t capacity);
    // Gives the tasks' slices back. `keep_memory`: for the next one.
    void close(bool keep_memory) noexcept;
    // The task with this index, which is at most the number of those in use and below batch_size.
    // Guarded by `growing`.
    Transport::TransferTask& task(size_t index) {
        return index < task_list.size() ? task_list[index] : task_list.emplace_back();
    }

    std::mutex growing;  // of task_list
    // The first task_count tasks may be polled. Raised with release once they are constructed;
    // task_list itself must not be asked: it may be growing, and it may hold tasks from before.
    std::atomic<size_t> task_count{0};
    Transport::TransferTask* tasks = nullptr;
};

// Every function may be called from any thread. Where threads use batches of their own they do not
// meet.
class BatchRegistry {
 private:
    struct Slot;

 public:
    // Keeps a batch from being freed while requests are submitted to it.
    class Pin {
     public:
        Pin() = default;
        explicit Pin(Slot* slot) : slot_(slot) {}
        Pin(Pin&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
        Pin& operator=(Pin&&) = delete;
        ~Pin() {
            if (slot_ != nullptr) release(*slot_, kSubmitter);
        }
        explicit operator bool() const { return slot_ != nullptr; }
        Batch* operator->() const { return &slot_->batch; }

     private:
        Slot* slot_ = nullptr;
    };

    BatchRegistry();
    // Frees the batches that are left; no transport may still work on one.
    ~BatchRegistry();

    // A batch for `capacity` tasks. Throws as Batch::open().
    Transport::BatchID add(size_t capacity);

    // An empty pin where the batch is not alive.
    Pin pin(Transport::BatchID id) { return Pin(acquire(id, kSubmitter)); }

    // Calls use(Batch&) on a live batch and returns true; it cannot be freed meanwhile, so `use`
    // should be short.
    template <typename Use>
    bool with(Transport::BatchID id, const Use& use) {
        Slot* const slot = acquire(id, kPoller);
        if (slot == nullptr) return false;
        use(slot->batch);
        release(*slot, kPoller);
        return true;
    }

    // InvalidArgument where the batch is not alive, BatchBusy while it is in use.
    Status remove(Transport::BatchID id);

 private:
    // A slot's state, from above: 31 bits how often it has been used; whether its batch is alive;
    // whether somebody is deciding on its end; and how many threads submit to it (15 bits) and poll
    // it (16 bits) at the moment. More threads than that no process has.
    static constexpr int kUseShift = 33;
    static constexpr uint64_t kAlive = uint64_t{1} << 32;
    static constexpr uint64_t kClosing = uint64_t{1} << 31;
    static constexpr uint64_t kSubmitter = uint64_t{1} << 16;
    static constexpr uint64_t kPoller = 1;
    static constexpr uint64_t kUsers = kClosing - 1;
    static constexpr uint64_t kUseMask = (uint64_t{1} << 31) - 1;

    struct alignas(64) Slot {
        std::atomic<uint64_t> state;
        uint32_t number;
        uint32_t home;  // shard
        Slot* next_free = nullptr;
        Batch batch;
    };

    // Of free slots: several, so that threads seldom meet.
    static constexpr size_t kShards = 16;
    struct alignas(64) Shard {
        std::mutex mutex;
        Slot* free = nullptr;
        std::atomic<size_t> count{0};  // changed under the mutex
    };

    // Slots lie in blocks of kFirstBlock, then twice as many, and so on: they stay where they are,
    // and a number is found without a lock.
    static constexpr size_t kFirstBlock = 64;
    static constexpr size_t kBlocks = 26;
    static constexpr size_t kMostSlots = kFirstBlock * ((size_t{1} << kBlocks) - 1);

    struct Place {
        size_t block;
        size_t index;
    };
    static Place placeOf(size_t number) {
        const size_t shifted = number + kFirstBlock;
        const auto block = static_cast<size_t>(std::bit_width(shifted / kFirstBlock) - 1);
        return {block, shifted - (kFirstBlock << block)};
    }

    Slot* slotOf(Transport::BatchID id) {
        const size_t number = id & UINT32_MAX;
        if (number >= kMostSlots) return nullptr;
        const Place place = placeOf(number);
        Slot* const block = blocks_[place.block].load(std::memory_order_acquire);
        return block == nullptr ? nullptr : block + place.index;
    }

    // Whether a slot in this state is that batch's, which is alive.
    static bool isOf(uint64_t state, Transport::BatchID id) {
        return state >> 32 == ((id >> 32) << 1 | 1);
    }

    // Null where the batch is not alive.
    Slot* acquire(Transport::BatchID id, uint64_t user) {
        Slot* const slot = slotOf(id);
        if (slot == nullptr) return nullptr;
        uint64_t state = slot->state.load(std::memory_order_relaxed);
        for (;;) {
            if (!isOf(state, id)) return nullptr;
            if ((state & kClosing) != 0) {
                std::this_thread::yield();
                state = slot->state.load(std::memory_order_relaxed);
            } else if (slot->state.compare_exchange_weak(state, state + user,
                                                         std::memory_order_acquire,
                                                         std::memory_order_relaxed)) {
                return slot;
            }
        }
    }
    // Release: what was done to the batch comes before its end.
    static void release(Slot& slot, uint64_t user) {
        slot.state.fetch_sub(user, std::memory_order_release);
    }

    static uint64_t useAfter(uint64_t use);
    Slot* takeFree();
    void giveFree(Slot& slot);
    void addSlots(Shard& shard, uint32_t home);

    std::array<Shard, kShards> shards_;
    std::array<std::atomic<Slot*>, kBlocks> blocks_{};
    std::mutex growing_;
    size_t used_ = 0;  // slots that were ever given out; guarded by growing_
    const uint64_t first_use_;
};

}  // namespace mooncake
