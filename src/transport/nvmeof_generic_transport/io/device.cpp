// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <glog/logging.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

namespace mooncake::nvmeof_generic::io {
namespace {

// How long a device that made io_submit block is kept apart, in ticks of the monitor, counted from
// the last time.
constexpr uint64_t kApartTicks = 100;

constexpr uint32_t kMostToSkip = 4096;

constexpr uint32_t chunksFor(uint32_t bytes) {
    return (bytes + BouncePool::kChunkBytes - 1) / BouncePool::kChunkBytes;
}

}  // namespace

Device::Device(IoDeviceSpec spec, const PlanRules& rules, uint32_t depth, bool durable,
               BouncePool& bounce, const Conditions& conditions)
    : name_(std::move(spec.name)),
      size_(spec.size),
      rules_(rules),
      depth_(depth),
      durable_(durable),
      listener_(std::move(spec.listener)),
      bounce_(bounce),
      conditions_(conditions),
      fd_(std::make_shared<const UniqueFd>(std::move(spec.fd))) {
    bounceAccount_.device = this;
}

Device::~Device() {
    assert(outstanding_ == 0 && inFlight_ == 0 && planned_ == nullptr);
    while (spare_ != nullptr) delete std::exchange(spare_, spare_->next);
}

Device::Admission Device::admit(const IoRequest* requests, size_t count) {
    std::lock_guard lock(mutex_);
    if (shut_) return {0, ECANCELED, {}};
    const size_t taken = queue(requests, count);
    return {taken, ENOMEM, evaluate()};
}

Device::Admission Device::admit(const IoRequest* requests, size_t count, size_t freeSlots,
                                Batch& batch) {
    batch.count = 0;
    const bool skips = freeSlots == 0 || skipsCaller();
    std::lock_guard lock(mutex_);
    if (shut_) return {0, ECANCELED, {}};
    const size_t taken = queue(requests, count);
    const Readiness ready = evaluate();
    if (skips || ready != Lane::kCommon || !fillForCaller(freeSlots, batch)) {
        return {taken, ENOMEM, ready};
    }
    return {taken, ENOMEM, {}};
}

/// @return how many there was memory for
size_t Device::queue(const IoRequest* requests, size_t count) {
    size_t taken = 0;
    for (; taken < count; ++taken) {
        Request* request = slab_.allocate();
        if (request == nullptr) break;
        const IoRequest& from = requests[taken];
        request->start(from.op, from.buffer, from.offset, from.length, from.context, false);
        queue_.push(request);
    }
    outstanding_ += taken;
    used_ = true;
    return taken;
}

Readiness Device::shut() {
    std::lock_guard lock(mutex_);
    shut_ = true;
    // While it waits for chunks the pool knows the account; a release() that has just taken it out
    // will call bounceFreed().
    if (held_ == Held::kByBounce && bounce_.forget(bounceAccount_)) held_ = Held::kNot;
    return evaluate();
}

Duty Device::take(size_t freeSlots, Batch& batch) {
    std::lock_guard lock(mutex_);
    ready_ = false;
    batch.count = 0;
    if (shut_) {
        if (hasQueued()) {
            ++submitters_;
            return Duty::kCancel;
        }
        if (!evaluate()) return Duty::kNone;
        closed_ = true;
        return Duty::kClose;
    }
    if (paused_ || !canStart()) return Duty::kNone;

    const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
    if (submitters_ > 0) {
        // A second thread may help with a device that has more to do than one thread can submit,
        // not with one on which the first is stuck.
        const bool shared =
            submitters_ < conditions_.activeWorkers.load(std::memory_order_relaxed) &&
            tick - turnTick_ <= 1 && tick >= apartUntil_;
        if (!shared) return Duty::kNone;
    }

    fillBatch(freeSlots, Batch::kMostOperations, batch);
    if (batch.count > 0) {
        ++submitters_;
        turnTick_ = tick;
        return Duty::kSubmit;
    }
    if (freeSlots <= inFlight_ || starved_) {
        paused_ = true;
        return Duty::kPause;
    }
    return Duty::kNone;
}

bool Device::takeForCaller(size_t freeSlots, Batch& batch) {
    if (skipsCaller()) return false;
    std::lock_guard lock(mutex_);
    return fillForCaller(freeSlots, batch);
}

bool Device::skipsCaller() {
    const uint32_t left = callersToSkip_.load(std::memory_order_relaxed);
    if (left > 0) callersToSkip_.store(left - 1, std::memory_order_relaxed);
    return left > 0;
}

bool Device::fillForCaller(size_t freeSlots, Batch& batch) {
    batch.count = 0;
    if (shut_ || paused_ || submitters_ > 0 || !canStart()) return false;
    fillBatch(freeSlots, Batch::kMostOperations, batch);
    if (batch.count == 0 || hasQueued()) {
        giveBack(batch, 0);
        batch.count = 0;
        return false;
    }
    ready_ = false;
    ++submitters_;
    turnTick_ = conditions_.tick.load(std::memory_order_relaxed);
    return true;
}

void Device::wouldHaveBlocked(int64_t error) {
    // A device that cannot tell will not learn it; one that was full may not be so for long.
    const uint32_t last = lastSkip_.load(std::memory_order_relaxed);
    const uint32_t skip = error == EOPNOTSUPP ? UINT32_MAX : std::min(2 * last + 16, kMostToSkip);
    lastSkip_.store(std::min(skip, kMostToSkip), std::memory_order_relaxed);
    callersToSkip_.store(skip, std::memory_order_relaxed);
}

Readiness Device::endTurn(const Batch& batch, size_t submitted, Turn turn) {
    std::lock_guard lock(mutex_);
    giveBack(batch, submitted);
    --submitters_;
    if (turn == Turn::kBlocked) {
        const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
        if (tick >= apartUntil_) {
            LOG(WARNING) << name_
                         << ": the kernel blocked while it took I/O; a thread of its own "
                            "submits for this device until that has stopped";
        }
        apartUntil_ = tick + kApartTicks;
    }
    if (turn == Turn::kPaused) paused_ = true;
    return evaluate();
}

Readiness Device::resume() {
    std::lock_guard lock(mutex_);
    paused_ = false;
    return evaluate();
}

Readiness Device::bounceFreed() {
    std::lock_guard lock(mutex_);
    if (held_ == Held::kByBounce) held_ = Held::kNot;
    return evaluate();
}

Readiness Device::gather(Harvest& harvest) {
    std::lock_guard lock(mutex_);
    while (Operation* operation = harvest.ended.pop()) {
        if (operation->started) {
            --inFlight_;
            ages_.ended(operation->startedAt);
            if (operation->op == IoOp::kWrite) unlink(operation);
            if (held_ == Held::kByConflict) held_ = Held::kNot;
        }
        recycle(operation);
    }
    again_.append(std::move(harvest.again));
    retries_.append(std::move(harvest.retries));
    while (Request* request = harvest.freed.pop()) slab_.free(request);
    ended_ += harvest.requestsEnded;
    outstanding_ -= std::exchange(harvest.requestsEnded, 0);
    return evaluate();
}

void Device::takeQueued(RequestQueue& requests, OperationQueue& operations) {
    std::lock_guard lock(mutex_);
    requests.append(std::move(queue_));
    requests.append(std::move(retries_));
    operations.append(std::move(again_));
    if (planned_ != nullptr && held_ != Held::kByBounce) {
        operations.push(std::exchange(planned_, nullptr));
        held_ = Held::kNot;
    }
    operations.forEach([](const Operation& operation) {
        uint64_t at = operation.begin + operation.lead;
        for (const Piece& piece : operation.pieces) {
            piece.request->unplan(piece.memory, at, piece.length);
            at += piece.length;
        }
    });
}

Request* Device::allocateRetry(const Piece& piece, IoOp op, uint64_t offset) {
    std::lock_guard lock(mutex_);
    Request* request = slab_.allocate();
    if (request != nullptr) {
        request->start(op, piece.memory, offset, piece.length, piece.request, true);
    }
    return request;
}

void Device::trim() {
    std::lock_guard lock(mutex_);
    if (std::exchange(used_, false) || outstanding_ > 0) return;
    slab_.trim();
    while (spare_ != nullptr) delete std::exchange(spare_, spare_->next);
    spareCount_ = 0;
}

Device::Load Device::load() const {
    std::lock_guard lock(mutex_);
    return {outstanding_, inFlight_};
}

Device::Activity Device::activity() const {
    std::lock_guard lock(mutex_);
    return {outstanding_, ended_};
}

Device::Sample Device::sample() {
    std::lock_guard lock(mutex_);
    return {{outstanding_, ended_}, ages_.step()};
}

std::shared_ptr<const UniqueFd> Device::descriptor() const {
    std::lock_guard lock(mutex_);
    return fd_;
}

void Device::close() {
    std::shared_ptr<const UniqueFd> closing;
    std::lock_guard lock(mutex_);
    closing.swap(fd_);
}

bool Device::hasQueued() const {
    return !queue_.empty() || !retries_.empty() || !again_.empty() ||
           (planned_ != nullptr && held_ != Held::kByBounce);
}

bool Device::canStart() const {
    if (!again_.empty()) return true;
    if (held_ != Held::kNot || inFlight_ >= depth_) return false;
    return planned_ != nullptr || !retries_.empty() || !queue_.empty();
}

/// Says whether somebody should come and take(), and in that case counts on it being announced.
Readiness Device::evaluate() {
    if (ready_ || closed_) return {};
    if (shut_) {
        const bool over = outstanding_ == 0 && inFlight_ == 0 && submitters_ == 0 && !paused_ &&
                          held_ != Held::kByBounce;
        if (!hasQueued() && !over) return {};
    } else {
        if (paused_ || !canStart()) return {};
        if (submitters_ > 0 &&
            submitters_ >= conditions_.activeWorkers.load(std::memory_order_relaxed)) {
            return {};
        }
    }
    ready_ = true;
    const bool apart = conditions_.tick.load(std::memory_order_relaxed) < apartUntil_ &&
                       conditions_.apart.load(std::memory_order_relaxed);
    return apart ? Lane::kApart : Lane::kCommon;
}

void Device::fillBatch(size_t freeSlots, size_t most, Batch& batch) {
    // As long as it uses no more than it leaves.
    const size_t room = freeSlots > inFlight_ ? (freeSlots - inFlight_ + 1) / 2 : 0;
    most = std::min(room, most);
    uint64_t bytes = 0;
    starved_ = false;
    while (batch.count < most && bytes < Batch::kMostBytes) {
        Operation* operation = again_.pop();
        if (operation == nullptr) operation = startNext();
        if (operation == nullptr) break;
        batch.operations[batch.count++] = operation;
        bytes += operation->length;
    }
}

/// What has not been submitted of a batch comes first next time.
void Device::giveBack(const Batch& batch, size_t submitted) {
    OperationQueue left;
    for (size_t i = submitted; i < batch.count; ++i) left.push(batch.operations[i]);
    left.append(std::move(again_));
    again_.append(std::move(left));
}

Operation* Device::startNext() {
    if (held_ != Held::kNot || inFlight_ >= depth_) return nullptr;
    if (planned_ == nullptr) {
        RequestQueue& from = retries_.empty() ? queue_ : retries_;
        if (from.empty()) return nullptr;
        planned_ = allocateOperation();
        if (planned_ == nullptr) {
            starved_ = true;
            return nullptr;
        }
        planNext(rules_, from, &from == &retries_ ? Joining::kForbidden : Joining::kAllowed,
                 *planned_);
    }
    Operation& operation = *planned_;
    if (operation.op == IoOp::kWrite && conflicts(operation)) {
        held_ = Held::kByConflict;
        return nullptr;
    }
    if (operation.kind != OperationKind::kDirect) {
        const uint32_t chunks = chunksFor(operation.length);
        if (!bounce_.acquire(bounceAccount_, chunks, operation.chunks)) {
            held_ = Held::kByBounce;
            return nullptr;
        }
        operation.chunkCount = static_cast<uint8_t>(chunks);
    }
    operation.started = true;
    ++inFlight_;
    operation.startedAt = ages_.started();
    if (operation.op == IoOp::kWrite) link(&operation);
    return std::exchange(planned_, nullptr);
}

/// A merge writes a whole block of which it read a part before: no other write of that block may be
/// in flight meanwhile, or its bytes would be lost.
bool Device::conflicts(const Operation& operation) const {
    const bool merge = operation.kind == OperationKind::kMerge;
    if (!merge && merges_ == 0) return false;
    for (const Operation* write = writes_; write != nullptr; write = write->nextWrite) {
        if ((merge || write->kind == OperationKind::kMerge) && write->overlaps(operation)) {
            return true;
        }
    }
    return false;
}

Operation* Device::allocateOperation() {
    Operation* operation = spare_;
    if (operation != nullptr) {
        spare_ = operation->next;
        --spareCount_;
    } else {
        operation = new (std::nothrow) Operation;
        if (operation != nullptr) operation->device = this;
    }
    return operation;
}

void Device::recycle(Operation* operation) {
    if (spareCount_ >= depth_) {
        delete operation;
        return;
    }
    operation->done = 0;
    operation->attempts = 0;
    operation->started = false;
    operation->merged = false;
    operation->returned = false;
    operation->chunkCount = 0;
    operation->pieces.clear();
    operation->next = spare_;
    spare_ = operation;
    ++spareCount_;
}

void Device::link(Operation* write) {
    write->previousWrite = nullptr;
    write->nextWrite = writes_;
    if (writes_ != nullptr) writes_->previousWrite = write;
    writes_ = write;
    if (write->kind == OperationKind::kMerge) ++merges_;
}

void Device::unlink(Operation* write) {
    (write->previousWrite != nullptr ? write->previousWrite->nextWrite : writes_) =
        write->nextWrite;
    if (write->nextWrite != nullptr) write->nextWrite->previousWrite = write->previousWrite;
    if (write->kind == OperationKind::kMerge) --merges_;
}

}  // namespace mooncake::nvmeof_generic::io
