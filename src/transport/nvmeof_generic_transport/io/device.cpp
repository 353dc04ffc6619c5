// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <glog/logging.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "channel.h"
#include "dispatcher.h"
#include "held_back.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// How long a device that made io_submit block is kept apart, in ticks of the monitor, counted from
// the last time.
constexpr uint64_t kSlowTicks = 100;

constexpr uint32_t kMostToSkip = 4096;

constexpr uint32_t chunksFor(uint32_t bytes) {
    return (bytes + BouncePool::kChunkBytes - 1) / BouncePool::kChunkBytes;
}

}  // namespace

Device::Device(IoDeviceSpec spec, const PlanRules& rules, uint32_t depth, bool durable,
               BouncePool& bounce, const Conditions& conditions, Dispatcher& dispatcher,
               HeldBack& heldBack)
    : name_(std::move(spec.name)),
      size_(spec.size),
      rules_(rules),
      depth_(depth),
      durable_(durable),
      listener_(std::move(spec.listener)),
      guard_(spec.guard ? std::move(spec.guard) : std::make_shared<WriteGuard>()),
      lossWithCopies_(std::move(spec.lossWithCopies)),
      bounce_(bounce),
      conditions_(conditions),
      dispatcher_(dispatcher),
      heldBack_(heldBack),
      number_(spec.fd.get()),
      fd_(std::make_shared<const UniqueFd>(std::move(spec.fd))) {
    bounceAccount_.device = this;
}

Device::~Device() {
    assert(inFlight_.count() == 0 && !hasQueued());
}

/// While it exists the backlog may be changed; then the device is announced if something can be
/// done. It may be gone afterwards.
class MC_SCOPED_CAPABILITY Device::Change {
 public:
    explicit Change(Device& device) MC_ACQUIRE(device.mutex_) : device_(device) {
        device_.mutex_.lock();
    }
    ~Change() MC_RELEASE() {
        const Readiness ready = device_.evaluate();
        device_.mutex_.unlock();
        if (ready) device_.announce(ready);
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

 private:
    Device& device_;
};

void Device::announce(Readiness ready) {
    if (ready) dispatcher_.push(*this, *ready);
}

void Device::giveBack(InFlight::Places places) {
    if (places.count == 0 || inFlight_.release(places, false, false)) return;
    const Change change(*this);
    inFlight_.release(places, false, true);
}

bool Device::start(Operation& operation) {
    if (operation.kind != OperationKind::kDirect) {
        const uint32_t chunks = chunksFor(operation.length);
        if (!bounce_.tryAcquire(bounceAccount_, chunks, operation.chunks)) return false;
        operation.chunkCount = static_cast<uint8_t>(chunks);
    }
    if (operation.op == IoOp::kWrite && !guard_->begin(operation, nullptr)) return false;
    begin(operation);
    return true;
}

void Device::begin(Operation& operation) const {
    operation.change(OperationState::kPlanned, OperationState::kStarted);
    operation.startTick = static_cast<uint16_t>(conditions_.tick.load(std::memory_order_relaxed));
}

// What ends within a round of the monitor, some milliseconds, the kernel has sent once: to take a
// path down, and repeat what it had, takes it longer. So a write on the usual way costs no look at
// the paths.
bool Device::isOld(const Operation& operation) const {
    return static_cast<uint16_t>(conditions_.tick.load(std::memory_order_relaxed)) !=
           operation.startTick;
}

// No write begins on a path that is lost.
bool Device::isOlderThanLoss(const Operation& operation) {
    const uint64_t loss = lossWithCopies_();
    if (loss == 0) return false;
    if (loss == IoDeviceSpec::kLossNotKnownYet) return true;  // until the monitor's next round
    const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
    if (loss_.load(std::memory_order_acquire) != loss) {
        lossTick_.store(tick, std::memory_order_relaxed);
        loss_.store(loss, std::memory_order_release);
    }
    // Of 16 bits, about five minutes.
    const auto since = static_cast<uint16_t>(tick - lossTick_.load(std::memory_order_relaxed));
    return static_cast<uint16_t>(tick - operation.startTick) >= since;
}

Enqueued Device::enqueue(Operation* planned, RequestQueue& requests, bool offer) {
    Readiness ready;
    {
        const MutexLock lock(mutex_);
        if (state_ != State::kOpen) return Enqueued::kShut;
        if (planned != nullptr) planned_.push(planned);
        queue_.append(std::move(requests));
        ready = evaluate();
    }
    if (offer && ready == Lane::kCommon) return Enqueued::kOffered;
    announce(ready);
    return Enqueued::kDone;
}

void Device::enqueueStarted(OperationQueue&& operations) {
    const Change change(*this);
    again_.append(std::move(operations));
}

void Device::wouldHaveBlocked(int64_t error) {
    // A device that cannot tell will not learn it; one that was full may not be so for long.
    const uint32_t last = lastSkip_.load(std::memory_order_relaxed);
    const uint32_t skip = error == EOPNOTSUPP ? UINT32_MAX : std::min(2 * last + 16, kMostToSkip);
    lastSkip_.store(std::min(skip, kMostToSkip), std::memory_order_relaxed);
    callersToSkip_.store(skip, std::memory_order_relaxed);
}

void Device::freeChunks(Operation& operation) {
    if (operation.chunkCount == 0) return;
    BounceAccount* waiting =
        bounce_.release(bounceAccount_, operation.chunkCount, operation.chunks);
    while (waiting != nullptr) {
        Device& other = *waiting->device;
        waiting = waiting->next;
        other.bounceFreed();
    }
}

bool Device::finish(Completions& completions, Channel* mine, bool offer) {
    if (!completions.held.empty()) heldBack_.add(std::move(completions.held));
    std::array<InFlight::Places, InFlight::kGenerations> places;
    uint32_t kinds = 0;
    while (Operation* operation = completions.ended.pop()) {
        if (operation->state != OperationState::kPlanned) {
            if (operation->op == IoOp::kWrite) guard_->end(*operation);
            uint32_t i = 0;
            while (i < kinds && places[i].generation != operation->generation) ++i;
            if (i == kinds) places[kinds++] = {0, operation->generation};
            ++places[i].count;
        }
        freeChunks(*operation);
        operation->clear();
        operation->home->memory().free(operation, operation->home == mine);
    }
    uint32_t given = 0;
    if (completions.again.empty() && completions.retries.empty()) {
        if (kinds == 0) return false;
        while (given < kinds && inFlight_.release(places[given], true, false)) ++given;
        // With the last place the device may be gone.
        if (given == kinds) return false;
    }
    Readiness ready;
    {
        const MutexLock lock(mutex_);
        for (; given < kinds; ++given) inFlight_.release(places[given], true, true);
        again_.append(std::move(completions.again));
        retries_.append(std::move(completions.retries));
        // The end is a worker's.
        offer = offer && state_ == State::kOpen;
        ready = evaluate();
    }
    if (offer && ready == Lane::kCommon) return true;
    announce(ready);
    return false;
}

Duty Device::take(size_t freeSlots, Channel& mine, Batch& batch) {
    batch.clear();
    const MutexLock lock(mutex_);
    ready_ = false;
    if (state_ != State::kOpen) {
        if (canCancel()) {
            ++submitters_;
            return Duty::kCancel;
        }
        if (state_ == State::kClosed || !isOver()) return Duty::kNone;
        become(State::kClosed);
        return Duty::kClose;
    }
    if (paused_ || !canStart()) return Duty::kNone;

    const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
    if (submitters_ > 0) {
        // A second worker may help with a device that has more to do than one can submit, not with
        // one on which the first is stuck.
        const bool shared =
            submitters_ < conditions_.activeWorkers.load(std::memory_order_relaxed) &&
            tick - turnTick_ <= 1 && tick >= slowUntil_;
        if (!shared) return Duty::kNone;
    }

    fill(freeSlots, mine, batch);
    if (batch.count > 0) {
        ++submitters_;
        turnTick_ = tick;
        return Duty::kSubmit;
    }
    if (share(freeSlots) == 0 || starved_) {
        paused_ = true;
        return Duty::kPause;
    }
    return Duty::kNone;
}

bool Device::takeAll(size_t freeSlots, Channel& mine, Batch& batch) {
    batch.clear();
    if (leavesToWorkers()) return false;
    const MutexLock lock(mutex_);
    if (state_ != State::kOpen || paused_ || submitters_ > 0 || !canStart()) return false;
    fill(freeSlots, mine, batch);
    if (batch.count == 0 || hasQueued()) {
        putFirst(batch, 0);
        batch.clear();
        return false;
    }
    ready_ = false;
    ++submitters_;
    turnTick_ = conditions_.tick.load(std::memory_order_relaxed);
    return true;
}

void Device::endTurn(const Batch& batch, size_t submitted, Turn turn) {
    const Change change(*this);
    putFirst(batch, submitted);
    --submitters_;
    if (turn == Turn::kBlocked) {
        const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
        if (tick >= slowUntil_) {
            LOG(WARNING) << name_
                         << ": the kernel blocked while it took I/O; a thread of its own submits "
                            "for this device until that has stopped";
        }
        slowUntil_ = tick + kSlowTicks;
    }
    if (turn == Turn::kPaused) paused_ = true;
}

void Device::resume() {
    const Change change(*this);
    paused_ = false;
}

void Device::writeEnded() noexcept {
    // The write was perhaps of another pool, and with it this thread. Until it is told, this device
    // stays; the pool stays until the thread has left.
    Dispatcher& dispatcher = dispatcher_;
    dispatcher.enter();
    {
        const Change change(*this);
        if (held_ == Held::kByWrite) held_ = Held::kNot;
    }
    dispatcher.leave();
}

void Device::bounceFreed() {
    const Change change(*this);
    if (held_ == Held::kByBounce) held_ = Held::kNot;
}

void Device::shut() {
    const Change change(*this);
    if (state_ == State::kOpen) become(State::kShut);
    // Who has just been taken from the list of those who wait will be told.
    const bool forgotten = (held_ == Held::kByBounce && bounce_.forget(bounceAccount_)) ||
                           (held_ == Held::kByWrite && guard_->forget(*this));
    if (forgotten) held_ = Held::kNot;
}

void Device::takeQueued(RequestQueue& requests, OperationQueue& operations) {
    const MutexLock lock(mutex_);
    requests.append(std::move(queue_));
    requests.append(std::move(retries_));
    operations.append(std::move(again_));
    if (held_ == Held::kNot) operations.append(std::move(planned_));
}

void Device::close() {
    std::shared_ptr<const UniqueFd> closing;
    const MutexLock lock(mutex_);
    closing.swap(fd_);
}

IoDevice::Activity Device::activity() const {
    const MutexLock lock(mutex_);
    return {inFlight_.count() + (hasQueued() ? 1U : 0U), ended_};
}

IoDevice::Sample Device::sample(std::chrono::steady_clock::time_point now) {
    const MutexLock lock(mutex_);
    const InFlight::Age age = inFlight_.step(now);
    if (age.moved) ++ended_;
    return {{inFlight_.count() + (hasQueued() ? 1U : 0U), ended_}, age.oldest};
}

std::shared_ptr<const UniqueFd> Device::descriptor() const {
    const MutexLock lock(mutex_);
    return fd_;
}

bool Device::hasQueued() const {
    return !again_.empty() || !planned_.empty() || !retries_.empty() || !queue_.empty();
}

bool Device::canStart() const {
    if (!again_.empty()) return true;
    if (held_ != Held::kNot || inFlight_.count() >= depth_) return false;
    return !planned_.empty() || !retries_.empty() || !queue_.empty();
}

/// An operation that is just being told of goes when it has been.
bool Device::canCancel() const {
    return held_ == Held::kNot ? hasQueued()
                               : !again_.empty() || !retries_.empty() || !queue_.empty();
}

bool Device::isOver() const {
    return !hasQueued() && inFlight_.count() == 0 && submitters_ == 0 && !paused_ &&
           held_ == Held::kNot;
}

/// Says whether a worker should come and take(), and in that case counts on it being announced.
Device::Readiness Device::evaluate() {
    // With the flag first: places that are given back from now on are seen here or announce.
    inFlight_.lock(state_ != State::kOpen || hasQueued());
    if (ready_ || state_ == State::kClosed) return {};
    if (state_ == State::kShut) {
        if (!canCancel() && !isOver()) return {};
    } else {
        if (paused_ || !canStart()) return {};
        if (submitters_ > 0 &&
            submitters_ >= conditions_.activeWorkers.load(std::memory_order_relaxed)) {
            return {};
        }
    }
    ready_ = true;
    const bool slow = conditions_.tick.load(std::memory_order_relaxed) < slowUntil_ &&
                      conditions_.slowLane.load(std::memory_order_relaxed);
    return slow ? Lane::kSlow : Lane::kCommon;
}

void Device::fill(size_t freeSlots, Channel& mine, Batch& batch) {
    const size_t most = share(freeSlots);
    starved_ = false;
    while (batch.count < most && !batch.full()) {
        Operation* operation = again_.pop();
        if (operation == nullptr) operation = startNext(mine);
        if (operation == nullptr) break;
        batch.add(operation);
    }
    inFlight_.lock(hasQueued());
}

void Device::become(State next) {
    assert((state_ == State::kOpen && next == State::kShut) ||
           (state_ == State::kShut && next == State::kClosed));
    state_ = next;
}

/// What has not been submitted of a batch comes first next time.
void Device::putFirst(const Batch& batch, size_t from) {
    OperationQueue first;
    for (size_t i = from; i < batch.count; ++i) {
        batch.operations[i]->takeBack();
        first.push(batch.operations[i]);
    }
    first.append(std::move(again_));
    again_.append(std::move(first));
}

Operation* Device::startNext(Channel& mine) {
    if (held_ != Held::kNot) return nullptr;
    if (planned_.empty()) {
        RequestQueue& from = retries_.empty() ? queue_ : retries_;
        if (from.empty() || inFlight_.count() >= depth_) return nullptr;
        Operation* const fresh = mine.memory().allocateOperation();
        if (fresh == nullptr) {
            starved_ = true;
            return nullptr;
        }
        fresh->home = &mine;
        fresh->device = this;
        planNext(rules_, from, &from == &retries_ ? Joining::kForbidden : Joining::kAllowed,
                 *fresh);
        planned_.push(fresh);
    }
    const InFlight::Places place = inFlight_.reserve(1, depth_, true);
    if (place.count == 0) return nullptr;
    Operation* const operation = planned_.head();
    operation->generation = place.generation;
    if (!startLocked(*operation)) {
        inFlight_.release(place, false, true);
        return nullptr;
    }
    return planned_.pop();
}

/// As start(), but where something is short the device is told when it is not any more. Bounce
/// buffers come first and are kept: what holds blocks needs nothing more to end.
bool Device::startLocked(Operation& operation) {
    if (operation.kind != OperationKind::kDirect && operation.chunkCount == 0) {
        const uint32_t chunks = chunksFor(operation.length);
        if (!bounce_.acquire(bounceAccount_, chunks, operation.chunks)) {
            held_ = Held::kByBounce;
            return false;
        }
        operation.chunkCount = static_cast<uint8_t>(chunks);
    }
    if (operation.op == IoOp::kWrite && !guard_->begin(operation, this)) {
        held_ = Held::kByWrite;
        return false;
    }
    begin(operation);
    return true;
}

}  // namespace mooncake::nvmeof_generic::io
