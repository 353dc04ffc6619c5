// SPDX-License-Identifier: Apache-2.0
// How the bytes of an object's extents go from or to the caller's memory: in pieces, each of which
// is one request to the engine. Pure.
//
// A piece that is whole blocks of one slice goes straight from and to it. What lies between is
// gathered in staging buffers: many small slices become few requests, and no request is in part of
// a block, which the transport would have to read before it could write it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mooncake_store/types.h"

namespace mooncake::store {

// What NVMe needs of the memory's address, and what the block layer of Linux takes for such
// devices. Where a device needs more, the transport copies.
constexpr size_t kMemoryAlignment = 4;
constexpr size_t kPieceUnit = 4096;
// What is longer goes in several pieces, so that one is checked while the next is on its way.
constexpr size_t kDirectPiece = 1 << 20;
constexpr size_t kStagedPiece = 256 << 10;
// Below that, a request of its own costs about as much as copying the bytes into a larger one.
constexpr size_t kWorthDirect = 16 << 10;

// A place in a list of slices.
struct SliceCursor {
    std::span<const Slice> slices;
    size_t slice = 0;
    size_t offset = 0;  // in that slice, less than its size

    // Past slices that have no bytes left.
    void normalise();
    // Bytes from here to the end of the slice.
    size_t run() const { return slices[slice].size - offset; }
    std::byte* address() const { return static_cast<std::byte*>(slices[slice].ptr) + offset; }
    void skip(size_t bytes);
};

struct Piece {
    uint32_t extent = 0;  // whose it is: a number that the caller gave
    bool staged = false;
    uint32_t length = 0;          // bytes of the object
    uint64_t offset = 0;          // in the extent; whole blocks
    SliceCursor memory;           // where these bytes are or go
    std::byte* buffer = nullptr;  // of a staged one, while it has one

    // What the request has: whole blocks.
    size_t requestLength() const { return (length + kPieceUnit - 1) / kPieceUnit * kPieceUnit; }
};

// Adds the pieces of an extent of `length` bytes, the next ones of `memory`, and moves that on.
// There must be as many.
void cutExtent(uint32_t extent, uint64_t length, SliceCursor* memory, std::vector<Piece>* pieces);

}  // namespace mooncake::store
