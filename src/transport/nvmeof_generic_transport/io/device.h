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

/// What has become of a device's operations, as far as it was not yet told.
struct Completions {
    OperationQueue ended;
    OperationQueue again;  ///< that need another system call
    RequestQueue retries;  ///< pieces of operations that failed, each to be tried alone

    bool empty() const { return ended.empty() && again.empty() && retries.empty(); }
};

/// What a worker is to do for a device.
enum class Duty {
    kNone,    ///< nothing, or others are at it
    kSubmit,  ///< submit the batch, then endTurn()
    kPause,   ///< nothing before a completion or a moment; then resume()
    kCancel,  ///< end what takeQueued() gives, then endTurn()
    kClose,   ///< close(): the device is done with, and the caller is the last who uses it
};

/// What has become of requests that were to be queued.
enum class Enqueued {
    kDone,
    kOffered,  ///< done, and the device can do something: the caller has to see to it
    kShut,     ///< nothing was taken: the device is shut
};

/// How a worker's turn went.
enum class Turn {
    kWell,
    kBlocked,  ///< io_submit blocked for long
    kPaused,   ///< the kernel could not take more for now: resume() has to follow
};

/// Two ways lead to the kernel. A thread that submits starts operations itself, as long as nothing
/// they need is short: a place, bounce buffers, their blocks (reserve(), start()); threads do that
/// side by side, and for reads without a lock. Whatever cannot start goes to the backlog
/// (enqueue()), and as long as there is one, all goes there. Workers take the backlog (take()), and
/// are told by a Dispatcher when there is something that can start.
///
/// Thread-safe. The mutex guards the backlog; it is held for moments, never over a system call or a
/// call of the listener. The object lives until its end is closed by close(), and that is not
/// before everything in flight has ended.
class Device final : public IoDevice, private WriteGuard::Waiter {
 public:
    /// @param depth  I/Os in flight at most, up to InFlight::kMost
    /// @param durable  writes complete only when they are stable
    Device(IoDeviceSpec spec, const PlanRules& rules, uint32_t depth, bool durable,
           BouncePool& bounce, const Conditions& conditions, Dispatcher& dispatcher);
    ~Device() override;

    const std::string& name() const { return name_; }
    int fd() const { return number_; }
    uint64_t size() const { return size_; }
    bool durable() const { return durable_; }
    const PlanRules& rules() const { return rules_; }
    IoListener& listener() const { return *listener_; }

    // The way of a thread that submits.
    /// Takes places for up to `wanted` operations. @return none where there is a backlog
    InFlight::Places reserve(uint32_t wanted) { return inFlight_.reserve(wanted, depth_, false); }
    /// Gives places back that start() did not use.
    void giveBack(InFlight::Places places);
    /// Gets an operation with a place what else it needs. @return false when that is short: it is
    /// for workers then, and the place is to be given back
    bool start(Operation& operation);
    /// Has workers do it.
    /// @param planned  an operation that could not start; may be null
    /// @param requests  those behind it
    /// @param offer  the caller offers to serve the device itself where a worker would have to be
    ///     woken for it
    [[nodiscard]] Enqueued enqueue(Operation* planned, RequestQueue& requests, bool offer);
    /// The same for operations that have been started.
    void enqueueStarted(OperationQueue&& operations);
    /// Whether the calling thread should leave it to workers for now, without having tried.
    bool leavesToWorkers() {
        const uint32_t left = callersToSkip_.load(std::memory_order_relaxed);
        if (left > 0) callersToSkip_.store(left - 1, std::memory_order_relaxed);
        return left > 0;
    }
    /// An I/O that was not to wait came back. @param error  EAGAIN or EOPNOTSUPP
    void wouldHaveBlocked(int64_t error);
    /// Such an I/O was taken.
    void didNotBlock() {
        if (lastSkip_.load(std::memory_order_relaxed) != 0) {
            lastSkip_.store(0, std::memory_order_relaxed);
        }
    }

    /// Takes in what has become of its operations, whoever submitted them: they are cleared, and
    /// given back to where they come from. The device may be gone afterwards.
    /// @param mine  the calling thread's channel, or null
    /// @param offer  see enqueue()
    /// @return whether the caller has to see to it that the device is served
    bool finish(Completions& completions, Channel* mine, bool offer);

    // The way of a worker.
    /// Finds out what is to be done. After kSubmit and kCancel the caller has a turn until
    /// endTurn().
    /// @param freeSlots  what the caller's context can still hold, see share()
    Duty take(size_t freeSlots, Channel& mine, Batch& batch);
    /// The same for a thread that must not wait: all of the backlog, where that is one batch.
    /// @return false when it is not, or the device would have to wait
    bool takeAll(size_t freeSlots, Channel& mine, Batch& batch);
    /// @param submitted  how many of the batch's operations the kernel has taken or ended; the
    ///     others come first next time
    void endTurn(const Batch& batch, size_t submitted, Turn turn);
    /// After kPause or Turn::kPaused.
    void resume();

    /// How much of a context's free slots the device may use: as much as it leaves to others, so
    /// that devices that hang cannot fill it.
    size_t share(size_t freeSlots) const {
        const size_t used = inFlight_.count();
        return freeSlots > used ? (freeSlots - used + 1) / 2 : 0;
    }

    /// Refuses further requests, and has workers cancel the queued ones and close().
    void shut();
    /// After kCancel: all that is not in the kernel's hands.
    void takeQueued(RequestQueue& requests, OperationQueue& operations);
    /// After kClose: closes the descriptor, which may block.
    void close();

    /// Chunks have been given back for which it waits.
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
    /// Where the device is to be announced, if it is.
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

    const std::string name_;
    const uint64_t size_;
    const PlanRules rules_;
    const uint32_t depth_;
    const bool durable_;
    const std::shared_ptr<IoListener> listener_;
    const std::shared_ptr<WriteGuard> guard_;
    BouncePool& bounce_;
    const Conditions& conditions_;
    Dispatcher& dispatcher_;
    const int number_;                        // of the descriptor
    std::atomic<uint32_t> callersToSkip_{0};  // leavesToWorkers() says yes so often
    std::atomic<uint32_t> lastSkip_{0};

    // What all threads that use the device write.
    alignas(64) InFlight inFlight_;

    alignas(64) mutable Mutex mutex_;
    std::shared_ptr<const UniqueFd> fd_ MC_GUARDED_BY(mutex_);
    BounceAccount bounceAccount_;                   // the BouncePool's
    OperationQueue again_ MC_GUARDED_BY(mutex_);    // started, before everything else
    OperationQueue planned_ MC_GUARDED_BY(mutex_);  // not started
    RequestQueue retries_ MC_GUARDED_BY(mutex_);    // before the queue, and not joined
    RequestQueue queue_ MC_GUARDED_BY(mutex_);
    uint64_t ended_ MC_GUARDED_BY(mutex_) = 0;  // how often sample() has seen that something had
    uint32_t submitters_ MC_GUARDED_BY(mutex_) = 0;  // workers that have a turn
    uint64_t turnTick_ MC_GUARDED_BY(mutex_) = 0;    // when the last of them got it
    uint64_t slowUntil_ MC_GUARDED_BY(mutex_) = 0;   // tick
    Held held_ MC_GUARDED_BY(mutex_) = Held::kNot;   // the first of planned_ waits, to be told
    State state_ MC_GUARDED_BY(mutex_) = State::kOpen;
    bool starved_ MC_GUARDED_BY(mutex_) = false;  // no memory for an operation
    bool ready_ MC_GUARDED_BY(mutex_) = false;    // announced, not taken yet
    bool paused_ MC_GUARDED_BY(mutex_) = false;
};

}  // namespace mooncake::nvmeof_generic::io
