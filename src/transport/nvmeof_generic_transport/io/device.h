// SPDX-License-Identifier: Apache-2.0
// One opened device: what is in flight on it, and what waits until it can be.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "batch.h"
#include "bounce_pool.h"
#include "conditions.h"
#include "in_flight.h"
#include "operation.h"
#include "planner.h"
#include "request.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"
#include "write_guard.h"

namespace mooncake::nvmeof_generic::io {

class Dispatcher;
class HeldBack;

/// The outcome of operations of one device, for Device::finish().
struct Completions {
    OperationQueue ended;
    OperationQueue again;  ///< these need another system call
    OperationQueue held;   ///< writes that are over, and whose end is told later, see HeldBack
    RequestQueue retries;  ///< pieces of operations that failed; each is tried once more, alone

    bool empty() const { return ended.empty() && again.empty() && held.empty() && retries.empty(); }
};

/// What a worker does next for a device.
enum class Duty {
    kNone,    ///< nothing: there is nothing to do, or other workers do it
    kSubmit,  ///< it submits the batch, then calls endTurn()
    kPause,   ///< nothing can start now; it calls resume() after a completion or a moment
    kCancel,  ///< it ends what takeQueued() returns, then calls endTurn()
    kClose,   ///< it calls close(): no other thread uses the device any more
};

/// The result of Device::enqueue().
enum class Enqueued {
    kDone,
    kOffered,  ///< queued, something can start, and the caller must serve the device
    kShut,     ///< refused: the device is shut, and nothing was queued
};

/// How a worker's turn ended.
enum class Turn {
    kWell,
    kBlocked,  ///< io_submit blocked for long
    kPaused,   ///< the kernel takes no more for now; the worker calls resume() later
};

/// Operations reach the kernel in two ways. A thread that submits starts them itself while nothing
/// that they need is short: places, bounce buffers, blocks (reserve(), start()). Threads do this
/// side by side, and take no lock for reads. What cannot start is added to the backlog (enqueue());
/// while there is a backlog, everything is. Workers take the backlog (take()) when the Dispatcher
/// tells them that something in it can start.
///
/// Thread-safe. The mutex guards the backlog. It is held for moments, never over a system call or a
/// call of the listener. The object lives until close() has returned, and close() comes after the
/// end of everything in flight.
class Device final : public IoDevice, private WriteGuard::Waiter {
 public:
    /// @param depth  I/Os in flight at most, up to InFlight::kMost
    /// @param durable  writes complete only when they are stable
    Device(IoDeviceSpec spec, const PlanRules& rules, uint32_t depth, bool durable,
           BouncePool& bounce, const Conditions& conditions, Dispatcher& dispatcher,
           HeldBack& heldBack);
    ~Device() override;

    const std::string& name() const { return name_; }
    int fd() const { return number_; }
    uint64_t size() const { return size_; }
    bool durable() const { return durable_; }
    const PlanRules& rules() const { return rules_; }
    IoListener& listener() const { return *listener_; }

    // For threads that submit.
    /// Takes places for up to `wanted` operations. @return none while there is a backlog
    InFlight::Places reserve(uint32_t wanted) { return inFlight_.reserve(wanted, depth_, false); }
    /// Gives places back that start() did not use.
    void giveBack(InFlight::Places places);
    /// Acquires what an operation needs beside its place: bounce buffers and blocks.
    /// @return false when they are short; the caller then gives the place back and calls enqueue()
    bool start(Operation& operation);
    /// Adds to the backlog.
    /// @param planned  an operation that could not start, or null
    /// @param requests  the requests behind it
    /// @param offer  the caller serves the device itself where a worker would have to be woken
    [[nodiscard]] Enqueued enqueue(Operation* planned, RequestQueue& requests, bool offer);
    /// The same for operations that start() has accepted.
    void enqueueStarted(OperationQueue&& operations);
    /// Whether the calling thread should enqueue() without trying: the device has lately refused
    /// I/O that was not to wait. Counts the calls.
    bool leavesToWorkers() {
        const uint32_t left = callersToSkip_.load(std::memory_order_relaxed);
        if (left > 0) callersToSkip_.store(left - 1, std::memory_order_relaxed);
        return left > 0;
    }
    /// The device refused an I/O that was not to wait. @param error  EAGAIN or EOPNOTSUPP
    void wouldHaveBlocked(int64_t error);
    /// The device took one.
    void didNotBlock() {
        if (lastSkip_.load(std::memory_order_relaxed) != 0) {
            lastSkip_.store(0, std::memory_order_relaxed);
        }
    }

    /// Whether the end of a write that is over must not be told yet.
    bool holdsBack(const Operation& write) {
        return lossWithCopies_ && isOld(write) && isOlderThanLoss(write);
    }

    /// Takes in the outcome of operations, whichever thread submitted them. Clears those that have
    /// ended and gives them back to their channels. The device may be destroyed meanwhile.
    /// @param mine  the calling thread's channel, or null
    /// @param offer  as in enqueue()
    /// @return whether the caller must serve the device
    bool finish(Completions& completions, Channel* mine, bool offer);

    // For workers.
    /// Decides what the calling worker does. kSubmit and kCancel begin a turn, which endTurn()
    /// ends.
    /// @param freeSlots  I/Os that the caller's context can still hold, see share()
    Duty take(size_t freeSlots, Channel& mine, Batch& batch);
    /// The same for a thread that must not wait: takes the backlog if it fits into one batch.
    /// @return false if it does not fit, if something in it cannot start, or if a worker has a turn
    bool takeAll(size_t freeSlots, Channel& mine, Batch& batch);
    /// Ends a turn.
    /// @param submitted  how many of the batch's operations the kernel has taken or ended; the
    ///     others become the first of the backlog
    void endTurn(const Batch& batch, size_t submitted, Turn turn);
    /// After kPause or Turn::kPaused.
    void resume();

    /// How many of a context's free slots the device may use. It leaves as many to others, so that
    /// devices that hang cannot fill the context.
    size_t share(size_t freeSlots) const {
        const size_t used = inFlight_.count();
        return freeSlots > used ? (freeSlots - used + 1) / 2 : 0;
    }

    /// Refuses further requests, and has workers cancel the queued ones and close().
    void shut();
    /// After kCancel: takes everything out that the kernel does not have.
    void takeQueued(RequestQueue& requests, OperationQueue& operations);
    /// After kClose: closes the descriptor, which may block.
    void close();

    /// The BouncePool has chunks again, for which this device waits.
    void bounceFreed();

    uint32_t inFlight() const { return inFlight_.count(); }
    Activity activity() const override;
    Sample sample(std::chrono::steady_clock::time_point now) override;
    std::shared_ptr<const UniqueFd> descriptor() const override;

    Device* nextReady = nullptr;   ///< in the Dispatcher
    Device* nextPaused = nullptr;  ///< with a Worker

 private:
    enum class Held : uint8_t { kNot, kByWrite, kByBounce };
    enum class State : uint8_t { kOpen, kShut, kClosed };
    /// The lane in which the device is announced; none: it is not.
    using Readiness = std::optional<Lane>;

    void writeEnded() noexcept override;

    class Change;
    void announce(Readiness ready) MC_EXCLUDES(mutex_);
    Readiness evaluate() MC_REQUIRES(mutex_);
    bool hasQueued() const MC_REQUIRES(mutex_);
    bool canStart() const MC_REQUIRES(mutex_);
    bool canCancel() const MC_REQUIRES(mutex_);
    bool isOver() const MC_REQUIRES(mutex_);
    void become(State next) MC_REQUIRES(mutex_);
    void fill(size_t freeSlots, Channel& mine, Batch& batch) MC_REQUIRES(mutex_);
    void putFirst(const Batch& batch, size_t from) MC_REQUIRES(mutex_);
    Operation* startNext(Channel& mine) MC_REQUIRES(mutex_);
    bool startLocked(Operation& operation) MC_REQUIRES(mutex_);
    void freeChunks(Operation& operation) MC_EXCLUDES(mutex_);
    void begin(Operation& operation) const;
    bool isOld(const Operation& operation) const;
    bool isOlderThanLoss(const Operation& operation);

    const std::string name_;
    const uint64_t size_;
    const PlanRules rules_;
    const uint32_t depth_;
    const bool durable_;
    const std::shared_ptr<IoListener> listener_;
    const std::shared_ptr<WriteGuard> guard_;
    const std::function<uint64_t()> lossWithCopies_;
    BouncePool& bounce_;
    const Conditions& conditions_;
    Dispatcher& dispatcher_;
    HeldBack& heldBack_;
    const int number_;                        // of the descriptor
    std::atomic<uint32_t> callersToSkip_{0};  // how often leavesToWorkers() still says yes
    std::atomic<uint32_t> lastSkip_{0};
    std::atomic<uint64_t> loss_{0};      // the last one that was seen, see lossWithCopies
    std::atomic<uint64_t> lossTick_{0};  // when it was

    // What all threads that use the device write.
    alignas(64) InFlight inFlight_;

    alignas(64) mutable Mutex mutex_;
    std::shared_ptr<const UniqueFd> fd_ MC_GUARDED_BY(mutex_);
    BounceAccount bounceAccount_;                   // the BouncePool's
    OperationQueue again_ MC_GUARDED_BY(mutex_);    // started, before everything else
    OperationQueue planned_ MC_GUARDED_BY(mutex_);  // not started
    RequestQueue retries_ MC_GUARDED_BY(mutex_);    // before the queue, and not joined
    RequestQueue queue_ MC_GUARDED_BY(mutex_);
    uint64_t ended_ MC_GUARDED_BY(mutex_) = 0;  // calls of sample() that saw that I/O had ended
    uint32_t submitters_ MC_GUARDED_BY(mutex_) = 0;  // workers that have a turn
    uint64_t turnTick_ MC_GUARDED_BY(mutex_) = 0;    // when the last of them got it
    uint64_t slowUntil_ MC_GUARDED_BY(mutex_) = 0;   // tick
    Held held_ MC_GUARDED_BY(mutex_) = Held::kNot;   // what the first of planned_ waits for
    State state_ MC_GUARDED_BY(mutex_) = State::kOpen;
    bool starved_ MC_GUARDED_BY(mutex_) = false;  // no memory for an operation
    bool ready_ MC_GUARDED_BY(mutex_) = false;    // announced, not taken yet
    bool paused_ MC_GUARDED_BY(mutex_) = false;
};

}  // namespace mooncake::nvmeof_generic::io
