// SPDX-License-Identifier: Apache-2.0
// Reading what others replace, without a lock and without writing to memory that threads share.
//
//   Published<Table> table;      // replaced by writers, one at a time
//   Retired retired;
//
//   {                                            // a reader
//       const ReadSection reading;
//       use(*table.read());                      // good until `reading` ends
//   }
//   retired.add(table.replace(std::move(next)));  // a writer
//   retired.collect();                            // frees what nobody can see any more
//
// A writer never waits for readers: what it has replaced is freed by a later collect(). A reader
// may stay as long as it likes; meanwhile nothing is freed that was replaced after it began.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

namespace mooncake::nvmeof_generic {

/// While one exists, nothing that this thread reads with Published::read() is freed. May be nested.
/// Costs one exchange on memory of the calling thread's own. Never fails.
class ReadSection {
 public:
    ReadSection() noexcept;
    ~ReadSection();
    ReadSection(const ReadSection&) = delete;
    ReadSection& operator=(const ReadSection&) = delete;

 private:
    struct Slot;
    struct Slots;
    friend class Retired;
    /// Whether a section is open that began in this epoch or before.
    static bool anyBefore(uint64_t epoch) noexcept;

    Slot* const slot_;  // null: the thread has none, and is counted with others
};

/// What readers may see after it was replaced. Its memory links it to others, so that letting go of
/// something never needs memory.
class Retirable {
 public:
    virtual ~Retirable() = default;

 private:
    friend class Retired;
    Retirable* next_ = nullptr;
    uint64_t epoch_ = 0;
};

/// Objects that were replaced, until no reader can see them. Thread-safe.
class Retired {
 public:
    Retired() = default;
    /// Frees all. No reader may be left.
    ~Retired();
    Retired(const Retired&) = delete;
    Retired& operator=(const Retired&) = delete;

    /// Takes an object over that no new reader can find any more. Null is nothing.
    void add(std::unique_ptr<Retirable> object) noexcept;

    /// Frees what no reader can see any more, on the calling thread, which must hold no lock that a
    /// destructor takes.
    /// @return whether nothing is left
    bool collect() noexcept;

 private:
    static void destroy(Retirable* list) noexcept;

    std::mutex mutex_;
    Retirable* first_ = nullptr;  // guarded by mutex_
};

/// A pointer that readers follow while it is replaced. Owns what it points to. The accesses are in
/// one order with those of ReadSection and Retired, on which their proof rests.
template <class T>
class Published {
 public:
    Published() = default;
    explicit Published(std::unique_ptr<const T> first) : pointer_(first.release()) {}
    ~Published() { delete pointer_.load(std::memory_order_relaxed); }
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;

    /// Within a ReadSection, or by the one who replaces.
    const T* read() const noexcept { return pointer_.load(std::memory_order_seq_cst); }

    /// @return what was there, for Retired
    std::unique_ptr<T> replace(std::unique_ptr<const T> next) noexcept {
        return std::unique_ptr<T>(
            const_cast<T*>(pointer_.exchange(next.release(), std::memory_order_seq_cst)));
    }

 private:
    std::atomic<const T*> pointer_{nullptr};
};

}  // namespace mooncake::nvmeof_generic
