// SPDX-License-Identifier: Apache-2.0
#include "pieces.h"

#include <algorithm>

namespace mooncake::store {
namespace {

constexpr uint64_t wholeUnits(uint64_t bytes) {
    return bytes / kPieceUnit * kPieceUnit;
}

// How many bytes from `memory` on, of `left` that the extent has, are best moved directly. They
// begin a block of the extent.
uint64_t directRun(const SliceCursor& memory, uint64_t left) {
    if (reinterpret_cast<uintptr_t>(memory.address()) % kMemoryAlignment != 0) return 0;
    const uint64_t run = wholeUnits(std::min<uint64_t>(memory.run(), left));
    return run >= kWorthDirect || run == left ? run : 0;
}

// How many bytes from `memory` on, of `left` that the extent has, go through a staging buffer:
// whole blocks or all that is left, up to where a direct run begins.
uint64_t stagedRun(SliceCursor memory, uint64_t left) {
    const uint64_t most = std::min<uint64_t>(left, kStagedPiece);
    uint64_t taken = 0;
    while (taken < most) {
        // The next block of the extent that begins in this slice.
        const uint64_t block = taken == 0 ? kPieceUnit : wholeUnits(taken + kPieceUnit - 1);
        const uint64_t ahead = block - taken;
        if (ahead < memory.run() && block < most) {
            SliceCursor there = memory;
            there.skip(ahead);
            if (directRun(there, left - block) != 0) return block;
        }
        const uint64_t step = std::min<uint64_t>(memory.run(), most - taken);
        taken += step;
        memory.skip(step);
    }
    return most;
}

}  // namespace

void SliceCursor::normalise() {
    while (slice < slices.size() && offset == slices[slice].size) {
        ++slice;
        offset = 0;
    }
}

void SliceCursor::skip(size_t bytes) {
    while (bytes > 0) {
        const size_t step = std::min(bytes, run());
        offset += step;
        bytes -= step;
        normalise();
    }
}

void cutExtent(uint32_t extent, uint64_t length, SliceCursor* memory, std::vector<Piece>* pieces) {
    memory->normalise();
    for (uint64_t offset = 0; offset < length;) {
        const uint64_t left = length - offset;
        Piece piece;
        piece.extent = extent;
        piece.offset = offset;
        piece.memory = *memory;
        uint64_t taken = directRun(*memory, left);
        if (taken != 0) {
            taken = std::min<uint64_t>(taken, kDirectPiece);
        } else {
            piece.staged = true;
            taken = stagedRun(*memory, left);
        }
        piece.length = static_cast<uint32_t>(taken);
        pieces->push_back(piece);
        memory->skip(taken);
        offset += taken;
    }
}

}  // namespace mooncake::store
