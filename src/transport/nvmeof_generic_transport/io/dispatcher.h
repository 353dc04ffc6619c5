// SPDX-License-Identifier: Apache-2.0
// Which devices have something to do, and which workers are awake to do it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "aio_syscalls.h"
#include "channel.h"
#include "conditions.h"
#include "device.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

/// Devices are served in turn, first come, first served. A worker that is awake looks here before
/// it sleeps, so a device that becomes ready wakes one only when none of its lane is awake: under a
/// light load the first worker does it all.
///
/// Thread-safe. The mutex is a leaf, and not held over the system call that wakes a worker.
class Dispatcher {
 public:
    /// What a worker is to those who need one.
    struct Slot {
        Slot(Channel& ownChannel, Lane ownLane, uint32_t ownIndex)
            : channel(ownChannel), lane(ownLane), index(ownIndex) {}
        Channel& channel;  ///< in whose context it sleeps
        const Lane lane;
        const uint32_t index;            ///< in its lane
        std::atomic<bool> asleep{true};  ///< changed under the mutex
        std::atomic<bool> stuck{false};  ///< in a system call; the monitor's
    };

    Dispatcher(AioSyscalls& aio, Conditions& conditions) : aio_(aio), conditions_(conditions) {}

    /// Adds a worker that will run from now on. Its slot counts as asleep. Slots of a lane come in
    /// the order of their index. A worker that comes after stop() is told of it.
    void add(Slot& slot);

    /// As many workers of each lane as are stuck; others work in their place.
    void setStuck(Lane lane, uint32_t count);

    /// Announces a device that is ready, once for each Readiness.
    void push(Device& device, Lane lane);

    /// Announces a device of the common lane if that wakes nobody.
    /// @return null then; otherwise the slot of the worker to be woken, and the device is still the
    ///     caller's to announce, or to submit for
    Slot* offer(Device& device);

    /// Whether pop() would find something; a hint.
    bool hasReady(const Slot& slot) const {
        return readyCount_[index(slot.lane)].load(std::memory_order_relaxed) > 0 && works(slot);
    }

    /// @return the device whose turn it is, or null
    Device* pop(const Slot& slot);

    /// Before a worker waits. @return false when it must look again instead
    bool sleep(Slot& slot);

    /// After it has waited.
    void wakeUp(Slot& slot);

    /// Lets the first `count` common workers work, and wakes the last of them.
    void setActive(uint32_t count);

    /// Wakes sleeping workers for devices that nobody has come for.
    void wakeForReady();

    /// Lets every worker look whether it has to stop, and the monitor too.
    void stop();
    bool stopping() const { return stopping_.load(std::memory_order_acquire); }

    /// Between the two the Dispatcher stays, although the calling thread is another pool's.
    void enter() { visitors_.fetch_add(1, std::memory_order_relaxed); }
    void leave() { visitors_.fetch_sub(1, std::memory_order_release); }
    /// Whether such a thread is here.
    bool hasVisitors() const { return visitors_.load(std::memory_order_acquire) != 0; }

    /// How often a worker has been woken, so far.
    uint64_t wakeUps() const { return wakeUps_.load(std::memory_order_relaxed); }

    /// Whether no worker is awake and none has been woken since wakeUps() was `seen`.
    bool isQuiet(uint64_t seen) const;

    /// Waits until that is not so any more, a caller has submitted something, or the pool stops.
    /// @param callersIdle  whether no caller has
    void waitForActivity(uint64_t seen, const std::function<bool()>& callersIdle);

    /// A caller has submitted what no worker waits for: the monitor has to look after it. After a
    /// sequentially consistent change of what waitForActivity() asks for.
    void noteCaller();

    /// Waits for a time, or until the pool stops.
    void waitFor(std::chrono::milliseconds time);

 private:
    static size_t index(Lane lane) { return static_cast<size_t>(lane); }
    bool works(const Slot& slot) const {
        const uint32_t wanted = slot.lane == Lane::kSlow
                                    ? 1
                                    : conditions_.activeWorkers.load(std::memory_order_relaxed);
        return !slot.stuck.load(std::memory_order_relaxed) &&
               slot.index < wanted + stuck_[index(slot.lane)].load(std::memory_order_relaxed);
    }
    void append(Device& device, Lane lane) MC_REQUIRES(mutex_);
    bool isQuietLocked(uint64_t seen) const MC_REQUIRES(mutex_);
    Slot* sleeperFor(Lane lane) MC_REQUIRES(mutex_);
    void noteAwake(Slot& slot) MC_REQUIRES(mutex_);
    void unparkMonitor() MC_REQUIRES(mutex_);
    void wake(Slot* slot);
    void wakeToStop(Slot& slot);

    AioSyscalls& aio_;
    Conditions& conditions_;
    mutable Mutex mutex_;
    std::array<Chain<Device, &Device::nextReady>, kLanes> ready_ MC_GUARDED_BY(mutex_);
    std::array<std::atomic<uint32_t>, kLanes> readyCount_{};
    std::array<std::atomic<uint32_t>, kLanes> stuck_{};
    std::vector<Slot*> slots_ MC_GUARDED_BY(mutex_);
    std::atomic<uint64_t> wakeUps_{0};
    std::atomic<uint32_t> visitors_{0};
    std::atomic<bool> stopping_{false};
    std::atomic<bool> monitorParked_{false};  // changed under the mutex
    CondVar activity_;
};

}  // namespace mooncake::nvmeof_generic::io
