// SPDX-License-Identifier: Apache-2.0
// The batches that are alive. A BatchID comes from the program and may be anything: here it is
// checked before there is a batch for it. It is the number of a slot and, above it, which use of
// the slot it is. No id is given twice: a slot that was used as often as there are numbers for its
// uses is not used again.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include "stable_array.h"
#include "transport/transport.h"

namespace mooncake {

// Slots are used again, and so is the memory of their tasks: a program that makes a batch for each
// request allocates nothing. Only whoever holds the batch may look at it (see BatchRegistry), but
// for the tasks that he has handed to a transport.
struct Batch : Transport::BatchDesc {
    // Throws std::bad_alloc or std::length_error for a capacity beyond memory; then the batch is as
    // it was.
    void open(size_t capacity);
    // Gives the tasks' slices back. `keep_memory`: for the next one.
    void close(bool keep_memory) noexcept;
    // The next task, as new, below batch_size. Task_list may hold more, from before.
    Transport::TransferTask& addTask() {
        const size_t index = task_count++;
        return index < task_list.size() ? task_list[index] : task_list.emplace_back();
    }
    // Moves `ended` past the tasks that have ended. Whether all have.
    bool advance() noexcept;

    size_t task_count = 0;
    // So many tasks, from the first on, are known to have ended; what they came to. Nobody looks at
    // them again.
    size_t ended = 0;
    uint64_t ended_bytes = 0;
    bool ended_badly = false;  // one of them has FAILED
};

// Every function may be called from any thread. Threads that use batches of their own do not meet:
// each has slots of its own, which it takes and gives without a lock.
class BatchRegistry {
 private:
    struct Slot;

    // Bits of an id: the slot's number, and which use of it; the topmost is 0.
    static constexpr int kNumberBits = 28;
    static constexpr int kUseBits = 35;

 public:
    // A thread that submits to a batch, which is not freed meanwhile. It begins by holding it.
    class Submission {
     public:
        Submission() = default;
        Submission(Submission&& other) noexcept
            : slot_(std::exchange(other.slot_, nullptr)), found_(std::exchange(other.found_, 0)) {}
        Submission& operator=(Submission&&) = delete;
        ~Submission() {
            if (slot_ == nullptr) return;
            letGo();
            // Release: what was done to the batch comes before its end.
            slot_->state.fetch_sub(kSubmitter, std::memory_order_release);
        }
        explicit operator bool() const { return slot_ != nullptr; }
        Batch* operator->() const { return &slot_->batch; }
        // Lets others hold the batch.
        void letGo() {
            if (found_ != 0) endHold(*slot_, std::exchange(found_, 0), kSubmitter);
        }

     private:
        friend class BatchRegistry;
        Submission(Slot* slot, uint64_t found) : slot_(slot), found_(found) {}

        Slot* slot_ = nullptr;
        uint64_t found_ = 0;  // the state before; 0 where it does not hold the batch any more
    };

    // `uses`: how often a slot is used, from 1 to kMostUses.
    static constexpr uint64_t kMostUses = (uint64_t{1} << kUseBits) - 1;
    explicit BatchRegistry(uint64_t uses = kMostUses);
    // Frees the batches that are left; no transport may still work on one.
    ~BatchRegistry();

    // A batch for `capacity` tasks. Throws as Batch::open().
    Transport::BatchID add(size_t capacity);

    // An empty one where the batch is not alive.
    Submission submitTo(Transport::BatchID id) {
        Slot* const slot = slotOf(id);
        const uint64_t found = slot == nullptr ? 0 : hold(*slot, id, kSubmitter);
        return found == 0 ? Submission() : Submission(slot, found);
    }

    // Calls use(Batch&) with the batch held, which should take moments, and returns true. False
    // where it is not alive.
    template <typename Use>
    bool with(Transport::BatchID id, const Use& use) {
        Slot* const slot = slotOf(id);
        const uint64_t found = slot == nullptr ? 0 : hold(*slot, id, 0);
        if (found == 0) return false;
        use(slot->batch);
        endHold(*slot, found, 0);
        return true;
    }

    // InvalidArgument where the batch is not alive, BatchBusy while it is in use.
    Status remove(Transport::BatchID id);

 private:
    // A slot's state, from above: which use of it this is; whether its batch is alive; whether
    // somebody holds it, which one thread does at a time; and how many threads submit to it.
    static constexpr int kUseShift = 64 - kUseBits;
    static constexpr uint64_t kAlive = uint64_t{1} << (kUseShift - 1);
    static constexpr uint64_t kHeld = kAlive >> 1;
    static constexpr uint64_t kSubmitter = 1;
    static constexpr uint64_t kSubmitters = kHeld - 1;  // more threads no process has

    struct alignas(64) Slot {
        std::atomic<uint64_t> state{0};
        uint32_t number = 0;
        Slot* next_free = nullptr;
        Batch batch;
    };

    // Slots that are free.
    struct FreeList {
        Slot* first = nullptr;
        size_t count = 0;
        size_t tasks = 0;  // for so many their memory is kept

        void push(Slot& slot) noexcept;
        Slot* pop() noexcept;  // null where there is none
    };
    // One thread's, which alone touches it.
    struct alignas(64) OwnList : FreeList {};

    Slot* slotOf(Transport::BatchID id) const {
        return slots_.find(id & ((uint64_t{1} << kNumberBits) - 1));
    }

    // Whether a slot in this state is that batch's, which is alive.
    static bool isOf(uint64_t state, Transport::BatchID id) {
        return state >> (kUseShift - 1) == ((id >> kNumberBits) << 1 | 1);
    }

    // Waits for whoever holds the batch, then holds it; with `add` kSubmitter as one who submits.
    // The state before, which is never 0; 0 where the batch is not alive.
    static uint64_t hold(Slot& slot, Transport::BatchID id, uint64_t add) {
        uint64_t state = slot.state.load(std::memory_order_relaxed);
        for (int round = 0; isOf(state, id); ++round) {
            if ((state & kHeld) != 0) {
                waitForHolder(round);
                state = slot.state.load(std::memory_order_relaxed);
            } else if (slot.state.compare_exchange_weak(state, state + kHeld + add,
                                                        std::memory_order_acquire,
                                                        std::memory_order_relaxed)) {
                return state;
            }
        }
        return 0;
    }
    static void waitForHolder(int round);
    // `found` and `add` as in hold(). Who would hold the batch or submit to it waits: so where
    // nobody submitted to it before, nobody else has changed the state.
    static void endHold(Slot& slot, uint64_t found, uint64_t add) {
        if ((found & kSubmitters) == 0) {
            slot.state.store(found + add, std::memory_order_release);
        } else {
            slot.state.fetch_sub(kHeld, std::memory_order_release);
        }
    }

    uint64_t useAfter(uint64_t use) const;
    OwnList* ownList() noexcept;
    Slot& takeFree();
    void giveFree(Slot& slot) noexcept;
    void addSlots(FreeList& list);

    const uint64_t first_use_;
    const uint64_t last_use_;
    StableArray<Slot, 64, 22> slots_;
    static_assert(decltype(slots_)::kMost < uint64_t{1} << kNumberBits);
    StableArray<OwnList, 16, 20> own_;  // by the number of the thread's slot

    std::mutex mutex_;  // of what follows, and for making slots_ and own_ grow
    FreeList shared_;
    size_t used_ = 0;  // slots that were ever given out
};

}  // namespace mooncake
