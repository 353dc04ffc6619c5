// SPDX-License-Identifier: Apache-2.0
#include "thread_slot.h"

#include <mutex>
#include <new>

#include "own_of_thread.h"
#include "transport/nvmeof_generic_transport/common/this_process.h"

namespace mooncake {
namespace {

// Of one process. A forked child makes another: a thread of its parent may have held the mutex, and
// may have been in a read section that nobody will leave in the child.
struct SlotList {
    explicit SlotList(uint64_t of) : process(of) {}

    ThreadSlot* take() noexcept;
    void give(ThreadSlot* slot) noexcept;

    const uint64_t process;
    SlotList* inherited = nullptr;  // keeps it within reach of tools that look for leaks
    std::atomic<ThreadSlot*> all{nullptr};
    std::mutex mutex;  // of what follows
    ThreadSlot* free = nullptr;
    uint32_t count = 0;
};

ThreadSlot* SlotList::take() noexcept {
    std::lock_guard lock(mutex);
    ThreadSlot* slot = free;
    if (slot != nullptr) {
        free = slot->next_free;
        return slot;
    }
    slot = new (std::nothrow) ThreadSlot();
    if (slot == nullptr) return nullptr;
    slot->number = count++;
    slot->next = all.load(std::memory_order_relaxed);
    all.store(slot, std::memory_order_seq_cst);
    return slot;
}

void SlotList::give(ThreadSlot* slot) noexcept {
    std::lock_guard lock(mutex);
    slot->next_free = free;
    free = slot;
}

// Never destroyed: threads and static objects end in any order.
constinit std::atomic<SlotList*> current{nullptr};

SlotList* slotList() noexcept {
    const uint64_t process = nvmeof_generic::thisProcess();
    SlotList* list = current.load(std::memory_order_acquire);
    if (list != nullptr && list->process == process) return list;
    auto* made = new (std::nothrow) SlotList(process);
    if (made == nullptr) return nullptr;
    made->inherited = list;
    // Another thread of this process may have been faster; it was not there at the fork.
    if (current.compare_exchange_strong(list, made, std::memory_order_acq_rel)) return made;
    delete made;
    return list;
}

// A thread's hold on its slot.
class Hold {
 public:
    ~Hold() {
        if (slot_ != nullptr && list_->process == nvmeof_generic::thisProcess()) list_->give(slot_);
    }
    ThreadSlot* slot() noexcept {
        if (slot_ != nullptr && list_->process == nvmeof_generic::thisProcess()) return slot_;
        list_ = slotList();
        slot_ = list_ == nullptr ? nullptr : list_->take();
        return slot_;
    }

 private:
    SlotList* list_ = nullptr;
    ThreadSlot* slot_ = nullptr;
};

struct Tag;

}  // namespace

ThreadSlot* ownThreadSlot() noexcept {
    Hold* const hold = OwnOfThread<Hold, Tag>::get();
    return hold == nullptr ? nullptr : hold->slot();
}

ThreadSlot* borrowThreadSlot() noexcept {
    SlotList* const list = slotList();
    return list == nullptr ? nullptr : list->take();
}

void returnThreadSlot(ThreadSlot* slot) noexcept {
    // Not null: it was there when the slot was taken.
    slotList()->give(slot);
}

const ThreadSlot* firstThreadSlot() noexcept {
    const SlotList* const list = slotList();
    return list == nullptr ? nullptr : list->all.load(std::memory_order_seq_cst);
}

}  // namespace mooncake
