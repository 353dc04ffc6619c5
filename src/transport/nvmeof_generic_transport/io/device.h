// SPDX-License-Identifier: Apache-2.0
// One opened device: what waits for it, what is in flight on it, and who may submit for it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "bounce_pool.h"
#include "conditions.h"
#include "in_flight_ages.h"
#include "operation.h"
#include "planner.h"
#include "request.h"
#include "request_slab.h"
#include "transport/nvmeof_generic_transport/io/io_pool.h"

namespace mooncake::nvmeof_generic::io {

/// The operations of one io_submit.
struct Batch {
    /// Many enough for the block layer to plug, few enough that other devices have their turn soon.
    static constexpr size_t kMostOperations = 64;
    static constexpr uint64_t kMostBytes = 16 << 20;
    /// For more it pays to wake a worker that sleeps.
    static constexpr size_t kMostForCaller = 8;

    std::array<Operation*, kMostOperations> operations;
    size_t count = 0;
};

/// What a worker has learnt about a device's I/O since it last told the device.
struct Harvest {
    OperationQueue ended;
    OperationQueue again;      ///< started operations that need another system call
    RequestQueue retries;      ///< pieces of operations that failed, each to be tried alone
    RequestQueue freed;        ///< records of requests that have ended
    size_t requestsEnded = 0;  ///< requests of callers among them

    bool empty() const {
        return ended.empty() && again.empty() && retries.empty() && freed.empty();
    }
};

/// What is to be done for a device next.
enum class Duty {
    kNone,    ///< nothing, or somebody is at it already
    kSubmit,  ///< submit the batch, then end the turn
    kPause,   ///< nothing before a completion or a moment; then resume()
    kCancel,  ///< end what takeQueued() gives, then end the turn
    kClose,   ///< close(): the device is done with, and the caller is the last who uses it
};

/// How a turn to submit went.
enum class Turn {
    kWell,
    kBlocked,  ///< io_submit blocked, and another thread took the worker over
    kPaused,   ///< the kernel could not take more for now: resume() has to follow
};

/// The lane in which a device must be made ready, or nothing.
using Readiness = std::optional<Lane>;

/// Thread-safe. The mutex guards the queues and is held for moments, never over a system call or a
/// call of the listener.
///
/// Life of a request: admit() queues it; take() plans it into operations and starts them; a worker
/// submits them and hears of their ends; gather() takes the records back. A member that returns
/// Readiness makes the caller responsible for announcing the device to the Dispatcher.
class Device final : public IoDevice {
 public:
    /// @param depth  I/Os in flight at most
    /// @param durable  writes complete only when they are stable
    Device(IoDeviceSpec spec, const PlanRules& rules, uint32_t depth, bool durable,
           BouncePool& bounce, const Conditions& conditions);
    ~Device() override;

    const std::string& name() const { return name_; }
    int fd() const { return fd_->get(); }
    uint64_t size() const { return size_; }
    bool durable() const { return durable_; }
    const PlanRules& rules() const { return rules_; }
    IoListener& listener() const { return *listener_; }
    BounceAccount& bounceAccount() { return bounceAccount_; }

    struct Admission {
        size_t taken;  ///< of the first requests
        int error;     ///< why not all: ECANCELED or ENOMEM
        Readiness ready;
    };
    /// Queues requests that refusal() has nothing against.
    Admission admit(const IoRequest* requests, size_t count);

    /// The same, then takeForCaller(): with a batch, nothing is to be announced before endTurn().
    /// @param batch  empty where that was not possible
    Admission admit(const IoRequest* requests, size_t count, size_t freeSlots, Batch& batch);

    /// Refuses further requests and has the queued ones cancelled.
    Readiness shut();

    /// Finds out what is to be done. After kSubmit and kCancel the caller has the turn until
    /// endTurn().
    /// @param freeSlots  what the caller's context can still hold; of that, a device that has I/O
    /// in
    ///     flight leaves as much as it uses to others, so that hung devices cannot fill it
    Duty take(size_t freeSlots, Batch& batch);

    /// As take(), for a thread that is no worker and must not wait: all that the device has to do,
    /// where that is one batch and the device has not said lately that it would have to wait.
    /// @return false when that is not possible; the device has still to be announced then
    bool takeForCaller(size_t freeSlots, Batch& batch);

    /// An I/O that was not to wait came back. @param error  EAGAIN or EOPNOTSUPP
    void wouldHaveBlocked(int64_t error);
    /// Such an I/O was taken.
    void didNotBlock() {
        if (lastSkip_.load(std::memory_order_relaxed) != 0) {
            lastSkip_.store(0, std::memory_order_relaxed);
        }
    }

    /// Ends a turn. @param submitted  how many of the batch's operations the kernel has taken or
    ///     ended; the others come first next time
    Readiness endTurn(const Batch& batch, size_t submitted, Turn turn);

    /// After kPause or Turn::kPaused.
    Readiness resume();

    /// After BouncePool::release() returned this device's account.
    Readiness bounceFreed();

    /// Takes in what has ended. @param harvest  is left empty
    Readiness gather(Harvest& harvest);

    /// After kCancel: all that is not in the kernel's hands.
    void takeQueued(RequestQueue& requests, OperationQueue& operations);

    /// After kClose: closes the descriptor, which may block.
    void close();

    /// A request that retries a piece. @return null without memory
    Request* allocateRetry(const Piece& piece, IoOp op, uint64_t offset);

    /// Gives back memory that the device has not needed lately, if it is idle.
    void trim();

    struct Load {
        size_t outstanding;  ///< requests that have not ended
        size_t inFlight;     ///< I/Os started and not ended
    };
    Load load() const;
    Activity activity() const override;
    Sample sample() override;
    std::shared_ptr<const UniqueFd> descriptor() const override;

    Device* nextReady = nullptr;   ///< in the Dispatcher
    Device* nextPaused = nullptr;  ///< with a Worker

 private:
    enum class Held : uint8_t { kNot, kByConflict, kByBounce };

    size_t queue(const IoRequest* requests, size_t count);
    bool skipsCaller();
    bool fillForCaller(size_t freeSlots, Batch& batch);
    bool hasQueued() const;
    bool canStart() const;
    Readiness evaluate();
    void fillBatch(size_t freeSlots, size_t most, Batch& batch);
    void giveBack(const Batch& batch, size_t submitted);
    Operation* startNext();
    bool conflicts(const Operation& operation) const;
    Operation* allocateOperation();
    void recycle(Operation* operation);
    void link(Operation* write);
    void unlink(Operation* write);

    const std::string name_;
    const uint64_t size_;
    const PlanRules rules_;
    const uint32_t depth_;
    const bool durable_;
    const std::shared_ptr<IoListener> listener_;
    BouncePool& bounce_;
    const Conditions& conditions_;
    std::shared_ptr<const UniqueFd> fd_;      // set and let go under the mutex
    std::atomic<uint32_t> callersToSkip_{0};  // takeForCaller() does nothing so often
    std::atomic<uint32_t> lastSkip_{0};
    BounceAccount bounceAccount_;

    mutable std::mutex mutex_;
    RequestQueue queue_;
    RequestQueue retries_;          // planned before the queue, and not joined
    OperationQueue again_;          // started, before everything else
    Operation* planned_ = nullptr;  // not started: it must wait, see held_
    Operation* writes_ = nullptr;   // started writes
    RequestSlab slab_;
    Operation* spare_ = nullptr;
    uint32_t spareCount_ = 0;
    size_t outstanding_ = 0;
    uint64_t ended_ = 0;  // requests of callers
    uint32_t inFlight_ = 0;
    InFlightAges ages_;        // of those
    uint32_t merges_ = 0;      // of the writes in flight
    uint32_t submitters_ = 0;  // threads that have the turn
    uint64_t turnTick_ = 0;    // when the last of them got it
    uint64_t apartUntil_ = 0;  // tick
    Held held_ = Held::kNot;
    bool starved_ = false;  // no memory for an operation
    bool ready_ = false;    // announced, not taken yet
    bool paused_ = false;
    bool shut_ = false;
    bool closed_ = false;
    bool used_ = false;  // since trim()
};

}  // namespace mooncake::nvmeof_generic::io
