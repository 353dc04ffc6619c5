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

/// Ends the pieces of an operation; the first `valid` bytes of the transfer are good.
/// @param retries  takes the pieces that are to be tried alone; null: none is
void endPieces(Operation& operation, int error, uint32_t valid, RequestEnd& end,
               RequestQueue* retries) {
    Device& device = *operation.device;
    uint32_t at = operation.lead;
    for (const Piece& piece : operation.pieces) {
        const uint32_t good = valid > at ? std::min(valid - at, piece.length) : 0;
        if (good == piece.length) {
            end.endPiece(device, piece.request, 0, good);
        } else if (Request* again = retries != nullptr ? end.allocate() : nullptr) {
            again->start(operation.op, piece.memory, operation.begin + at, piece.length,
                         piece.request, true);
            retries->push(again);
        } else {
            end.endPiece(device, piece.request, error, good);
        }
        at += piece.length;
    }
}

/// Notes that the kernel has had a write and gave it back: nobody knows what has become of it.
void noteWritten(const Operation& operation) {
    for (const Piece& piece : operation.pieces) piece.request->noteWritten();
}

// What a copy to or from memory that cannot be touched comes to.
constexpr Verdict kUntouchable{Verdict::kFailed, EFAULT, 0};

/// Ends an operation of which not all was moved, or has its pieces tried alone.
void fail(Operation& operation, const Verdict& verdict, RequestEnd& end, Completions& completions) {
    const bool merge = operation.kind == OperationKind::kMerge;
    // A merge moves one block: it is there or not. Memory can be that of one piece.
    const bool local = merge ? verdict.error == EFAULT : canBeLocal(verdict.error);
    const bool retry = verdict.step == Verdict::kFailed && operation.pieces.size() > 1 && local;
    endPieces(operation, verdict.error, merge ? 0 : verdict.valid, end,
              retry ? &completions.retries : nullptr);
    completions.ended.push(&operation);
}

/// Ends what is planned of requests that the device will not do.
void cancel(Operation& operation, RequestEnd& end) {
    // What a merge has written so far is nothing: it has read its block, or not even that. Of a
    // read through bounce buffers nothing has been copied out.
    const bool counts = operation.kind == OperationKind::kDirect ||
                        (operation.kind == OperationKind::kStaged && operation.op == IoOp::kWrite);
    endPieces(operation, ECANCELED, counts ? operation.done : 0, end, nullptr);
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

void complete(const BouncePool& bounce, Operation& operation, int64_t result, RequestEnd& end,
              Completions& completions) {
    operation.change(OperationState::kInKernel, OperationState::kStarted);
    if (operation.nowait && result >= 0) operation.device->didNotBlock();
    const Verdict verdict = judge(operation, operation.device->rules().blockSize, result);
    const bool merge = operation.kind == OperationKind::kMerge;
    const bool stagedRead = operation.kind == OperationKind::kStaged && operation.op == IoOp::kRead;
    const bool writes = operation.op == IoOp::kWrite && (!merge || operation.merged);
    // What was not to wait, and would have had to, has not begun.
    if (writes && result < 0 && !(operation.nowait && verdict.step == Verdict::kRepeat)) {
        noteWritten(operation);
    }
    if (verdict.step == Verdict::kRepeat) {
        if (operation.nowait && result < 0) operation.device->wouldHaveBlocked(-result);
        completions.again.push(&operation);
        return;
    }
    if (verdict.step == Verdict::kDone) {
        if (merge && !operation.merged) {
            if (!copyIn(bounce, operation)) return fail(operation, kUntouchable, end, completions);
            operation.merged = true;
            operation.done = 0;
            operation.attempts = 0;
            completions.again.push(&operation);
            return;
        }
        if (stagedRead && !copyOut(bounce, operation, operation.length)) {
            return fail(operation, kUntouchable, end, completions);
        }
        if (writes && operation.device->holdsBack(operation)) {
            completions.held.push(&operation);
            return;
        }
        endPieces(operation, 0, operation.length, end, nullptr);
        completions.ended.push(&operation);
        return;
    }
    if (stagedRead && !copyOut(bounce, operation, verdict.valid)) {
        return fail(operation, kUntouchable, end, completions);
    }
    fail(operation, verdict, end, completions);
}

void endHeld(Operation& write, int error, RequestEnd& end, Completions& completions) {
    if (error != 0) noteWritten(write);
    endPieces(write, error, error == 0 ? write.length : 0, end, nullptr);
    completions.ended.push(&write);
}

void failUnsent(Operation& operation, int error, RequestEnd& end, Completions& completions) {
    fail(operation, {Verdict::kFailed, error, 0}, end, completions);
}

void settle(const BouncePool& bounce, AioContext& context, const io_event* events, int count,
            RequestEnd& end, DeviceServer* server) {
    if (count == 0) return;
    context.inFlight.load(std::memory_order_acquire);  // see there
    Completions completions;
    Device* device = nullptr;
    uint32_t completed = 0;
    const auto finish = [&] {
        const bool offered =
            device->finish(completions, end.mine(), server != nullptr && end.mine() != nullptr);
        if (offered) server->serve(*device, *end.mine());
    };
    for (int i = 0; i < count; ++i) {
        auto* operation = static_cast<Operation*>(events[i].data);
        if (operation == nullptr) continue;  // AioSyscalls::wake()
        if (operation->device != device) {
            if (device != nullptr) finish();
            device = operation->device;
        }
        ++completed;
        complete(bounce, *operation, static_cast<int64_t>(events[i].res), end, completions);
    }
    if (device == nullptr) return;
    finish();
    context.inFlight.fetch_sub(completed, std::memory_order_relaxed);
}

void cancelQueued(Device& device, RequestEnd& end) {
    RequestQueue requests;
    OperationQueue operations;
    device.takeQueued(requests, operations);
    Completions completions;
    while (Operation* operation = operations.pop()) {
        cancel(*operation, end);
        completions.ended.push(operation);
    }
    while (Request* request = requests.pop()) end.endPiece(device, request, ECANCELED, 0);
    device.finish(completions, end.mine(), false);
}

void cancel(Device& device, Operation* planned, RequestQueue& requests, RequestEnd& end) {
    if (planned != nullptr) {
        cancel(*planned, end);
        Completions completions;
        completions.ended.push(planned);
        device.finish(completions, end.mine(), false);
    }
    while (Request* request = requests.pop()) end.endPiece(device, request, ECANCELED, 0);
}

}  // namespace mooncake::nvmeof_generic::io
