// SPDX-License-Identifier: Apache-2.0
// One I/O of the kernel: a contiguous range of a device, carried for one request or several.
#pragma once

#include <libaio.h>

#include <cassert>
#include <cstdint>

#include "chain.h"
#include "grow_array.h"
#include "request.h"

namespace mooncake::nvmeof_generic::io {

class Device;

/// The part of a request that one operation carries.
struct Piece {
    Request* request;
    char* memory;
    uint32_t length;
};

enum class OperationKind : uint8_t {
    kDirect,  ///< between the device and the requests' own memory
    kStaged,  ///< through bounce buffers; a write covers whole blocks
    kMerge,   ///< a write of a part of one block: the block is read, merged and written back
};

/// Where an operation is on its way. Each step is taken by the thread that has the operation.
enum class OperationState : uint8_t {
    kPlanned,  ///< holds nothing yet
    kStarted,  ///< holds a place of its device, its bounce buffers and its blocks; to be submitted
    kInKernel,
};

class Channel;

/// The pieces follow each other on the device without a gap, the first at `begin + lead`.
struct Operation {
    static constexpr uint32_t kMostChunks = 4;

    iocb control;
    Operation* next = nullptr;           ///< in an OperationQueue or an OperationCache
    Operation* nextWrite = nullptr;      ///< in the WriteGuard
    Operation* previousWrite = nullptr;  ///< the same
    Device* device = nullptr;
    Channel* home = nullptr;  ///< whose memory it is
    uint64_t begin = 0;       ///< first byte of the transfer on the device; a multiple of the block
    uint32_t length = 0;      ///< bytes of the transfer; a multiple of the block
    uint32_t lead = 0;        ///< bytes of the transfer before the first piece
    uint32_t done = 0;  ///< bytes that earlier system calls have moved; a multiple of the block
    union {
        uint32_t asked = 0;  ///< bytes that the present system call is to move
        uint32_t heldSince;  ///< milliseconds, see HeldBack
    };
    uint16_t startTick = 0;      ///< of the monitor, the lower bits
    uint8_t generation : 3 = 0;  ///< of its place, see InFlight
    uint8_t attempts : 5 = 0;    ///< system calls without progress that the kernel wants repeated
    IoOp op = IoOp::kRead;
    OperationKind kind = OperationKind::kDirect;
    OperationState state = OperationState::kPlanned;
    bool merged : 1 = false;  ///< of a merge: the block has been read, its write is next
    bool nowait : 1 = false;  ///< the present system call was not to wait
    uint8_t chunkCount = 0;
    uint32_t chunks[kMostChunks];  ///< bounce buffers, see BouncePool
    GrowArray<Piece> pieces;

    uint64_t end() const { return begin + length; }
    bool overlaps(const Operation& other) const {
        return begin < other.end() && other.begin < end();
    }
    void change(OperationState from, OperationState to) {
        assert(state == from);
        static_cast<void>(from);
        state = to;
    }
    /// The kernel has not taken it.
    void takeBack() {
        assert(state != OperationState::kPlanned);
        state = OperationState::kStarted;
    }
    /// As a fresh one, but for the memory that it keeps.
    void clear() {
        done = 0;
        attempts = 0;
        state = OperationState::kPlanned;
        merged = false;
        chunkCount = 0;
        pieces.clear();
    }
};
// A request that is in flight alone, with its operation, stays below 256 bytes.
static_assert(sizeof(Operation) + sizeof(Request) <= 256);

using OperationQueue = Chain<Operation>;

}  // namespace mooncake::nvmeof_generic::io
