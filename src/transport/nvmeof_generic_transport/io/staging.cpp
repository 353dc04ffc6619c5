// SPDX-License-Identifier: Apache-2.0
#include "staging.h"

#include <algorithm>
#include <cstring>

namespace mooncake::nvmeof_generic::io {
namespace {

/// Calls `copy(buffer, memory, length)` for each stretch that lies in one chunk and one piece and
/// before `valid`.
template <class Copy>
void forEachStretch(const BouncePool& bounce, const Operation& operation, uint32_t valid,
                    Copy copy) {
    uint32_t at = operation.lead;
    for (const Piece& piece : operation.pieces) {
        char* memory = piece.memory;
        const uint32_t end = std::min(at + piece.length, valid);
        while (at < end) {
            const uint32_t inChunk = at % BouncePool::kChunkBytes;
            const uint32_t length = std::min(end - at, BouncePool::kChunkBytes - inChunk);
            const uint32_t chunk = operation.chunks[at / BouncePool::kChunkBytes];
            copy(bounce.memory(chunk) + inChunk, memory, length);
            memory += length;
            at += length;
        }
        if (at >= valid) return;
    }
}

}  // namespace

void copyIn(const BouncePool& bounce, const Operation& operation) {
    forEachStretch(bounce, operation, operation.length,
                   [](char* buffer, const char* memory, uint32_t length) {
                       std::memcpy(buffer, memory, length);
                   });
}

void copyOut(const BouncePool& bounce, const Operation& operation, uint32_t valid) {
    forEachStretch(bounce, operation, valid, [](const char* buffer, char* memory, uint32_t length) {
        std::memcpy(memory, buffer, length);
    });
}

}  // namespace mooncake::nvmeof_generic::io
