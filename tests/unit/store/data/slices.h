// SPDX-License-Identifier: Apache-2.0
// Memory of a shape that is drawn at random, and what lies around it.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "mooncake_store/types.h"

namespace mooncake::store {

class RandomSlices {
 public:
    enum class Shape { kAny, kOnBlocks };

    // Slices with `bytes` bytes in all.
    RandomSlices(std::mt19937_64& random, size_t bytes, Shape shape) {
        constexpr size_t kSlack = 3 * 4096;
        const bool many = random() % 2 == 0;
        while (bytes > 0) {
            size_t size = 1 + random() % (many ? 60000 : 3 << 20);
            if (shape == Shape::kOnBlocks) size = (size + 4095) / 4096 * 4096;
            size = std::min(size, bytes);
            if (random() % 10 == 0 && shape == Shape::kAny) slices.push_back({nullptr, 0});
            auto memory = std::make_unique<std::byte[]>(size + kSlack);
            std::memset(memory.get(), 0x77, size + kSlack);
            size_t at = 4096 - reinterpret_cast<uintptr_t>(memory.get()) % 4096;
            // Often aligned, often not.
            if (shape == Shape::kAny && random() % 2 == 0) at += random() % 4096;
            slices.push_back({memory.get() + at, size});
            blocks_.push_back({std::move(memory), at, size, size + kSlack});
            bytes -= size;
        }
    }

    void fill(const std::vector<std::byte>& bytes) const {
        size_t at = 0;
        for (const Slice& slice : slices) {
            if (slice.size != 0) std::memcpy(slice.ptr, bytes.data() + at, slice.size);
            at += slice.size;
        }
    }
    std::vector<std::byte> content() const {
        std::vector<std::byte> bytes;
        for (const Slice& slice : slices) {
            const auto* const from = static_cast<const std::byte*>(slice.ptr);
            bytes.insert(bytes.end(), from, from + slice.size);
        }
        return bytes;
    }
    bool surroundingsUntouched() const {
        for (const Block& block : blocks_) {
            for (size_t i = 0; i < block.all; ++i) {
                if (i == block.begin) i += block.size;
                if (block.memory[i] != std::byte{0x77}) return false;
            }
        }
        return true;
    }

    std::vector<Slice> slices;

 private:
    struct Block {
        std::unique_ptr<std::byte[]> memory;
        size_t begin;
        size_t size;
        size_t all;
    };
    std::vector<Block> blocks_;
};

}  // namespace mooncake::store
