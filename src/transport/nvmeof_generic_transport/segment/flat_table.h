// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace mooncake::nvmeof_generic {

/// Values by number: filled once, then only read. A look-up mostly touches one cache line. Any
/// number of threads may read.
template <class Value>
class FlatTable {
 public:
    /// @param most  how many values will be added at most
    explicit FlatTable(size_t most) : slots_(std::bit_ceil(2 * most + 2)) {}

    /// Once for each number.
    void add(uint64_t number, Value value) {
        size_t at = placeOf(number);
        while (slots_[at].used) at = next(at);
        slots_[at] = {number, true, std::move(value)};
    }

    /// @return null where there is none
    const Value* find(uint64_t number) const noexcept {
        for (size_t at = placeOf(number); slots_[at].used; at = next(at)) {
            if (slots_[at].number == number) return &slots_[at].value;
        }
        return nullptr;
    }

    template <class Use>
    void forEach(const Use& use) const {
        for (const Slot& slot : slots_) {
            if (slot.used) use(slot.number, slot.value);
        }
    }

 private:
    // On lines of its own: threads that write would slow down those that look up.
    struct alignas(64) Slot {
        uint64_t number = 0;
        bool used = false;
        Value value{};
    };

    size_t placeOf(uint64_t number) const noexcept {
        return static_cast<size_t>((number * 0x9e3779b97f4a7c15) >> 32) & (slots_.size() - 1);
    }
    size_t next(size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }

    std::vector<Slot> slots_;  // a power of two of them, at least half of them free
};

}  // namespace mooncake::nvmeof_generic
