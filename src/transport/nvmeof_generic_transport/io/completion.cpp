// SPDX-License-Identifier: Apache-2.0
#include "completion.h"

#include <algorithm>
#include <cassert>
#include <cerrno>

#include "staging.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// How often the kernel may ask for the same system call again.
constexpr uint8_t kMostAttempts = 16;

/// Whether the error can be that of a part of the range only.
bool canBeLocal(int error) {
    switch (error) {
        case ENODEV:
        case ENXIO:
        case EBADF:
        case ENOLINK:
        case ETIMEDOUT:
        case ECANCELED:
            return false;
        default:
            return true;
    }
}

/// Ends a request's piece, or its part that was not planned, and tells the listener if it was the
/// last.
void endPart(Device& device, Request* request, int error, uint64_t moved, Harvest& harvest) {
    while (request->endPiece(error, moved)) {
        error = request->error.load(std::memory_order_relaxed);
        moved = request->moved.load(std::memory_order_relaxed);
        harvest.freed.push(request);
        if (!request->isRetry) {
            ++harvest.requestsEnded;
            if (request->untouched()) {
                device.listener().onIoReturned({request->op, request->buffer, request->offset,
                                                request->length, request->context});
            } else {
                device.listener().onIoDone(request->context, error, moved);
            }
            return;
        }
        request = static_cast<Request*>(request->context);
        request->reached.store(true, std::memory_order_relaxed);
    }
}

/// Ends the pieces of an operation; the first `valid` bytes of the transfer are good.
void endPieces(Operation& operation, int error, uint32_t valid, bool retry, Harvest& harvest) {
    Device& device = *operation.device;
    uint32_t at = operation.lead;
    for (const Piece& piece : operation.pieces) {
        const uint32_t good = valid > at ? std::min(valid - at, piece.length) : 0;
        if (good == piece.length) {
            endRequestPart(device, piece.request, 0, good, harvest);
        } else {
            Request* again =
                retry ? device.allocateRetry(piece, operation.op, operation.begin + at) : nullptr;
            if (again != nullptr) {
                harvest.retries.push(again);
            } else {
                endRequestPart(device, piece.request, error, good, harvest);
            }
        }
        at += piece.length;
    }
}

}  // namespace

Verdict judge(Operation& operation, uint32_t blockSize, int64_t result) {
    const uint32_t done = operation.done;
    if (result < 0) {
        const int error = static_cast<int>(-result);
        if (operation.nowait && (error == EAGAIN || error == EOPNOTSUPP)) {
            return {Verdict::kRepeat, 0, done};
        }
        if ((error == EINTR || error == EAGAIN) && ++operation.attempts < kMostAttempts) {
            return {Verdict::kRepeat, 0, done};
        }
        return {Verdict::kFailed, error, done};
    }
    if (result > operation.asked) return {Verdict::kFailed, EIO, done};
    const auto moved = static_cast<uint32_t>(result);
    if (done + moved == operation.length) return {Verdict::kDone, 0, operation.length};
    // The rest must begin at a block again.
    const uint32_t progress = moved & ~(blockSize - 1);
    if (progress == 0) return {Verdict::kEnded, ENODATA, done + moved};
    operation.done += progress;
    operation.attempts = 0;
    return {Verdict::kRepeat, 0, operation.done};
}

void endRequestPart(Device& device, Request* request, int error, uint64_t moved, Harvest& harvest) {
    // One that went well shows in the bytes moved.
    if (error != 0) request->reached.store(true, std::memory_order_relaxed);
    endPart(device, request, error, moved, harvest);
}

void complete(const BouncePool& bounce, Operation& operation, int64_t result, Harvest& harvest) {
    assert(operation.started);
    if (operation.nowait && result >= 0) operation.device->didNotBlock();
    const Verdict verdict = judge(operation, operation.device->rules().blockSize, result);
    const bool merge = operation.kind == OperationKind::kMerge;
    if (verdict.step == Verdict::kRepeat) {
        if (operation.nowait && result < 0) operation.device->wouldHaveBlocked(-result);
        operation.returned = true;
        harvest.again.push(&operation);
        return;
    }
    if (verdict.step == Verdict::kDone) {
        if (merge && !operation.merged) {
            copyIn(bounce, operation);
            operation.merged = true;
            operation.done = 0;
            operation.attempts = 0;
            operation.returned = true;
            harvest.again.push(&operation);
            return;
        }
        if (operation.kind == OperationKind::kStaged && operation.op == IoOp::kRead) {
            copyOut(bounce, operation, operation.length);
        }
        endPieces(operation, 0, operation.length, false, harvest);
    } else {
        if (operation.kind == OperationKind::kStaged && operation.op == IoOp::kRead) {
            copyOut(bounce, operation, verdict.valid);
        }
        const bool retry = verdict.step == Verdict::kFailed && !merge &&
                           operation.pieces.size() > 1 && canBeLocal(verdict.error);
        // A merge moves one block: it is there or not.
        endPieces(operation, verdict.error, merge ? 0 : verdict.valid, retry, harvest);
    }
    harvest.ended.push(&operation);
}

void cancelQueued(Device& device, Harvest& harvest) {
    RequestQueue requests;
    OperationQueue operations;
    device.takeQueued(requests, operations);
    while (Operation* operation = operations.pop()) {
        if (!operation->returned) {
            for (const Piece& piece : operation->pieces) {
                endPart(device, piece.request, ECANCELED, 0, harvest);
            }
            harvest.ended.push(operation);
            continue;
        }
        const uint32_t valid = operation->kind == OperationKind::kMerge ? 0 : operation->done;
        if (operation->kind == OperationKind::kStaged && operation->op == IoOp::kRead) {
            // Not copied out: what a cancelled request moved is not counted as moved.
            endPieces(*operation, ECANCELED, 0, false, harvest);
        } else {
            endPieces(*operation, ECANCELED, valid, false, harvest);
        }
        harvest.ended.push(operation);
    }
    while (Request* request = requests.pop()) endPart(device, request, ECANCELED, 0, harvest);
}

}  // namespace mooncake::nvmeof_generic::io
