// SPDX-License-Identifier: Apache-2.0
// A place in memory for each thread that lives. A thread that ends leaves its slot to the next one
// that starts, so there are as many slots as there were threads at one time.
#pragma once

#include <atomic>
#include <cstdint>

namespace mooncake {

// On a line of its own: its thread writes it all the time.
struct alignas(64) ThreadSlot {
    // The read section that the thread is in (see read_section.h). 0: in none.
    std::atomic<uint64_t> entered{0};
    std::atomic<const void*> domain{nullptr};

    // From 0, without gaps.
    uint32_t number = 0;
    ThreadSlot* next = nullptr;       // of all; never changed
    ThreadSlot* next_free = nullptr;  // guarded by the list's mutex
};

// The calling thread's. Null for a thread that is past its thread_local destructors, and without
// memory.
ThreadSlot* ownThreadSlot() noexcept;

// One more, for a moment: what its last user has left in it must be as new. Null without memory.
ThreadSlot* borrowThreadSlot() noexcept;
void returnThreadSlot(ThreadSlot* slot) noexcept;

// The first of all slots of this process, or null. Those that other processes left to a forked
// child are not among them. Slots are never destroyed.
const ThreadSlot* firstThreadSlot() noexcept;

}  // namespace mooncake
