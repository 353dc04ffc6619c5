// SPDX-License-Identifier: Apache-2.0
#include "control_blocks.h"

#include <algorithm>
#include <utility>

#include "device.h"
#include "staging.h"

namespace mooncake::nvmeof_generic::io {
namespace {

/// The segments of one operation, as many as the space given to it can hold.
class Vector {
 public:
    Vector(iovec* space, size_t room) : space_(space), room_(room) {}

    /// @return false when there is no room for it
    bool add(char* memory, size_t length) {
        if (count_ > 0 && end() == memory) {
            space_[count_ - 1].iov_len += length;
        } else if (count_ < room_) {
            space_[count_++] = {memory, length};
        } else {
            return false;
        }
        bytes_ += length;
        return true;
    }
    size_t count() const { return count_; }
    size_t bytes() const { return bytes_; }

 private:
    const char* end() const {
        const iovec& last = space_[count_ - 1];
        return static_cast<const char*>(last.iov_base) + last.iov_len;
    }

    iovec* const space_;
    const size_t room_;
    size_t count_ = 0;
    size_t bytes_ = 0;
};

/// What is left of an operation after its first `done` bytes.
void collect(const BouncePool& bounce, const Operation& operation, Vector& vector) {
    uint32_t skip = operation.done;
    const auto add = [&](char* memory, uint32_t length) {
        const uint32_t skipped = std::min(skip, length);
        skip -= skipped;
        return skipped == length || vector.add(memory + skipped, length - skipped);
    };
    if (operation.kind == OperationKind::kDirect) {
        for (const Piece& piece : operation.pieces) {
            if (!add(piece.memory, piece.length)) return;
        }
        return;
    }
    for (uint32_t i = 0; i < operation.chunkCount; ++i) {
        const uint32_t before = i * BouncePool::kChunkBytes;
        const uint32_t length = std::min(operation.length - before, BouncePool::kChunkBytes);
        if (!add(bounce.memory(operation.chunks[i]), length)) return;
    }
}

bool writesNow(const Operation& operation) {
    return operation.op == IoOp::kWrite &&
           (operation.kind != OperationKind::kMerge || operation.merged);
}

/// @return false: the memory of its requests cannot be read
bool fill(const BouncePool& bounce, Waiting waiting, Operation& operation, iovec* space,
          size_t room) {
    const Device& device = *operation.device;
    const bool write = writesNow(operation);
    if (write && operation.kind == OperationKind::kStaged && operation.done == 0 &&
        !copyIn(bounce, operation)) {
        return false;
    }
    Vector vector(space, room);
    collect(bounce, operation, vector);
    operation.asked = static_cast<uint32_t>(vector.bytes());

    iocb& control = operation.control;
    const auto offset = static_cast<long long>(operation.begin + operation.done);
    if (vector.count() == 1) {
        (write ? io_prep_pwrite : io_prep_pread)(&control, device.fd(), space->iov_base,
                                                 space->iov_len, offset);
    } else {
        (write ? io_prep_pwritev : io_prep_preadv)(&control, device.fd(), space,
                                                   static_cast<int>(vector.count()), offset);
    }
    control.data = &operation;
    operation.nowait = waiting == Waiting::kForbidden;
    control.aio_rw_flags =
        (write && device.durable() ? RWF_DSYNC : 0U) | (operation.nowait ? RWF_NOWAIT : 0U);
    operation.change(OperationState::kStarted, OperationState::kInKernel);
    return true;
}

size_t mostSegments(const Operation& operation) {
    return operation.kind == OperationKind::kDirect ? operation.pieces.size()
                                                    : operation.chunkCount;
}

}  // namespace

size_t prepare(const BouncePool& bounce, Waiting waiting, Submission& submission) {
    Batch& batch = submission.batch;
    size_t needed = 0;
    for (size_t i = 0; i < batch.count; ++i) needed += mostSegments(*batch.operations[i]);
    GrowArray<iovec>& vectors = submission.vectors;
    const bool enough = vectors.reserve(static_cast<uint32_t>(needed));

    size_t used = 0, unsent = 0;
    for (size_t i = 0; i < batch.count; ++i) {
        Operation& operation = *batch.operations[i];
        // An operation of one segment leaves the vector's space to the next one.
        const size_t room = enough ? mostSegments(operation) : 1;
        submission.controls[i] = &operation.control;
        if (!fill(bounce, waiting, operation, vectors.data() + used, room)) {
            std::swap(batch.operations[i], batch.operations[unsent]);
            std::swap(submission.controls[i], submission.controls[unsent]);
            ++unsent;
            continue;
        }
        if (operation.control.aio_lio_opcode == IO_CMD_PREADV ||
            operation.control.aio_lio_opcode == IO_CMD_PWRITEV) {
            used += operation.control.u.c.nbytes;
        }
    }
    return unsent;
}

}  // namespace mooncake::nvmeof_generic::io
