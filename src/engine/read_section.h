// SPDX-License-Identifier: Apache-2.0
// Readers that use a published object while others replace it, without a lock or a reference count:
// a reader writes nothing but a word of its own thread.
//
//   reader: ReadSection section(domain);           writer: publish the successor;
//           load the pointer (seq_cst), use it             domain.retire(what was there before)
//
// A writer never waits for readers: what it retires is destroyed once nobody can be reading it any
// more. A reader may stay as long as it likes, also in a system call.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "thread_slot.h"

namespace mooncake {

// What can be retired.
class Retired {
 public:
    virtual ~Retired() = default;

 private:
    friend class ReadDomain;
    std::unique_ptr<Retired> next_;
    uint64_t epoch_ = 0;
};

// What belongs together: readers of one domain do not hold up another's. Every function may be
// called from any thread.
class ReadDomain {
 public:
    ReadDomain() = default;
    // Nobody may be reading any more.
    ~ReadDomain();
    ReadDomain(const ReadDomain&) = delete;
    ReadDomain& operator=(const ReadDomain&) = delete;

    // Destroys `object` when all sections that are open now have been left: at once, or in a later
    // call of this function or collect(), on the thread that calls it, or with the domain. A
    // section that begins from now on must not find the object. Null is nothing.
    void retire(std::unique_ptr<Retired> object) noexcept;

    // Destroys what nobody can be reading any more.
    void collect() noexcept;

    // Returns when all sections that are open now have been left. Not to be called in one of them.
    void synchronize() noexcept;

 private:
    friend class ReadSection;

    uint64_t nextEpoch() noexcept { return epoch_.fetch_add(1, std::memory_order_seq_cst) + 1; }
    uint64_t oldestSection() const noexcept;
    static void destroy(std::unique_ptr<Retired> list) noexcept;

    // Raised whenever something was retired. A section has the number that was current when it
    // began: one that began later than the retirement has at least the retired object's.
    std::atomic<uint64_t> epoch_{1};
    std::mutex mutex_;                  // of what follows; nothing is destroyed with it
    std::unique_ptr<Retired> retired_;  // the oldest first
    Retired* newest_ = nullptr;         // of them; nothing where there are none
};

// From its construction to its destruction the thread may use what the domain's writers had
// published. Sections may be nested. On the stack only.
class ReadSection {
 public:
    explicit ReadSection(ReadDomain& domain) noexcept : slot_(ownThreadSlot()) {
        // In another section already, or late in the thread's life.
        if (slot_ == nullptr || slot_->entered.load(std::memory_order_relaxed) != 0) {
            slot_ = borrowThreadSlot();
            borrowed_ = true;
            if (slot_ == nullptr) return;
        }
        slot_->domain.store(&domain, std::memory_order_relaxed);
        // Sequentially consistent, as the writer's publication and its look at this word are:
        // either it sees the section, or the section sees what it has published. An exchange, since
        // an ordinary store would be followed by a fence that costs the same.
        slot_->entered.exchange(domain.epoch_.load(std::memory_order_acquire),
                                std::memory_order_seq_cst);
    }
    ~ReadSection() {
        if (slot_ == nullptr) return;
        slot_->entered.store(0, std::memory_order_release);
        if (borrowed_) returnThreadSlot(slot_);
    }
    ReadSection(const ReadSection&) = delete;
    ReadSection& operator=(const ReadSection&) = delete;

    // False: there is no memory for a thread's first section, or for a nested one. Then nothing may
    // be read.
    explicit operator bool() const { return slot_ != nullptr; }

 private:
    ThreadSlot* slot_;
    bool borrowed_ = false;
};

}  // namespace mooncake
