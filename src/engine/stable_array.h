// SPDX-License-Identifier: Apache-2.0
// An array that grows while others read it: its elements stay where they are, in blocks of
// kFirstBlock, then twice as many, and so on.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <utility>

namespace mooncake {

template <class T, size_t kFirstBlock, size_t kBlocks>
class StableArray {
 public:
    // Of elements that there can be.
    static constexpr size_t kMost = kFirstBlock * ((size_t{1} << kBlocks) - 1);

    StableArray() = default;
    ~StableArray() {
        for (auto& block : blocks_) delete[] block.load(std::memory_order_relaxed);
    }
    StableArray(const StableArray&) = delete;
    StableArray& operator=(const StableArray&) = delete;

    // Null where grow() has not been called for this element, or a later one. From any thread.
    T* find(size_t index) const {
        if (index >= kMost) return nullptr;
        const Place place = placeOf(index);
        T* const block = blocks_[place.block].load(std::memory_order_acquire);
        return block == nullptr ? nullptr : block + place.index;
    }

    // Makes the block of element `index`, which is below kMost, where it is not there yet, and
    // calls prepare(element, index) on each of it. One thread at a time. Throws std::bad_alloc.
    template <class Prepare>
    T& grow(size_t index, const Prepare& prepare) {
        const Place place = placeOf(index);
        T* block = blocks_[place.block].load(std::memory_order_relaxed);
        if (block == nullptr) {
            const size_t count = kFirstBlock << place.block;
            block = new T[count];
            for (size_t i = 0; i < count; ++i) prepare(block[i], index - place.index + i);
            blocks_[place.block].store(block, std::memory_order_release);
        }
        return block[place.index];
    }

    // Calls use(element) on all that are there. While nobody grows it.
    template <class Use>
    void forEach(const Use& use) const {
        for (size_t i = 0; i < kBlocks; ++i) {
            T* const block = blocks_[i].load(std::memory_order_acquire);
            if (block == nullptr) continue;
            for (size_t k = 0; k < kFirstBlock << i; ++k) use(block[k]);
        }
    }

 private:
    struct Place {
        size_t block;
        size_t index;
    };
    static Place placeOf(size_t index) {
        const size_t shifted = index + kFirstBlock;
        const auto block = static_cast<size_t>(std::bit_width(shifted / kFirstBlock) - 1);
        return {block, shifted - (kFirstBlock << block)};
    }

    std::array<std::atomic<T*>, kBlocks> blocks_{};
};

}  // namespace mooncake
