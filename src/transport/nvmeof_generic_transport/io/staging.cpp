// SPDX-License-Identifier: Apache-2.0
#include "staging.h"

#include <algorithm>
#include <cstring>

namespace mooncake::nvmeof_generic::io {
namespace {

/// Calls `look(memory, length)` for what of each piece lies before `end`, until that says false.
template <class Look>
bool forPieces(const Operation& operation, uint32_t end, Look look) {
    uint32_t at = operation.lead;
    for (const Piece& piece : operation.pieces) {
        if (at >= end) break;
        if (!look(piece.memory, std::min(piece.length, end - at))) return false;
        at += piece.length;
    }
    return true;
}

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

bool copyIn(const BouncePool& bounce, const Operation& operation) {
    CallerMemory::Check check(bounce.callerMemory());
    if (!forPieces(operation, operation.length, [&](const char* memory, uint32_t length) {
            return check.canRead(memory, length);
        })) {
        return false;
    }
    forEachStretch(bounce, operation, operation.length,
                   [](char* buffer, const char* memory, uint32_t length) {
                       std::memcpy(buffer, memory, length);
                   });
    return true;
}

bool copyOut(const BouncePool& bounce, const Operation& operation, uint32_t valid) {
    CallerMemory::Check check(bounce.callerMemory());
    if (!forPieces(operation, valid,
                   [&](char* memory, uint32_t length) { return check.canWrite(memory, length); }) ||
        !check.endWriting()) {
        return false;
    }
    forEachStretch(bounce, operation, valid, [](const char* buffer, char* memory, uint32_t length) {
        std::memcpy(memory, buffer, length);
    });
    return true;
}

}  // namespace mooncake::nvmeof_generic::io
