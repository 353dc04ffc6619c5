// SPDX-License-Identifier: Apache-2.0
// A worker: a context of the kernel, and what a thread does that runs it.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>

#include "aio_syscalls.h"
#include "bounce_pool.h"
#include "callers.h"
#include "conditions.h"
#include "control_blocks.h"
#include "device.h"
#include "device_registry.h"
#include "dispatcher.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic::io {

/// What all workers of a pool share.
struct WorkerWorld {
    AioSyscalls& aio;
    Conditions& conditions;
    Dispatcher& dispatcher;
    BouncePool& bounce;
    DeviceRegistry& registry;
    Callers& callers;
    std::chrono::microseconds spin;
};

/// The worker is not the thread. A thread that blocks in io_submit is deposed: another one runs the
/// worker from then on, reaps its completions and serves the other devices, while the first holds
/// nothing but the turn of its device and the batch that it is submitting. When the kernel lets it
/// go it gives back what was not taken, and leaves.
///
/// `progress_` decides between the two: even while the thread is out of system calls that can
/// block, odd inside. The thread and the monitor both leave an odd value by compare and exchange,
/// so one of them wins.
class Worker {
 public:
    Worker(WorkerWorld& world, uint32_t index, Lane lane);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Sets the context up, a smaller one where the system does not grant `entries`.
    /// @return EAGAIN when fs.aio-max-nr leaves none at all
    Result<> open(uint32_t entries);
    bool isOpen() const { return seat_.context != nullptr; }

    /// Works until it is deposed, or until the pool stops. Not on two threads at once.
    void run();

    Dispatcher::Seat& seat() { return seat_; }
    const Dispatcher::Seat& seat() const { return seat_; }

    // For the monitor.
    uint64_t progress() const { return progress_.load(std::memory_order_acquire); }
    static bool inSystemCall(uint64_t progress) { return progress % 2 == 1; }
    /// Takes the worker away from a thread that is still where progress() said it was; run() is
    /// then for another one. @return false when the thread has come back meanwhile
    bool depose(uint64_t progress);
    /// Whether the thread waits for something, in contrast to working or waiting for a processor.
    bool threadWaits() const;
    /// Whether it has run out of things to do since the last call.
    bool tookRest() { return rested_.exchange(false, std::memory_order_relaxed); }
    /// CPU time of the thread that runs it, in nanoseconds; 0 when there is none.
    int64_t cpuTime() const;

 private:
    /// The time that a thread runs the worker.
    struct Tenure {
        uint64_t progress;
        Submission submission;
    };

    bool turn(Tenure& tenure);
    int reap(io_event* events);
    void handle(io_event* events, int count);
    void report(Device& device, Harvest& harvest);
    bool serve(Tenure& tenure, Device& device);
    bool submit(Tenure& tenure, Device& device);
    bool outOfPatience(uint32_t others);
    bool closeDevice(Tenure& tenure, Device& device);
    void enterSystemCall(Tenure& tenure);
    bool leaveSystemCall(Tenure& tenure);
    int rest(io_event* events);
    int spin(io_event* events);
    void pause(Device& device);
    void resumePaused();

    WorkerWorld& world_;
    Dispatcher::Seat seat_;
    std::atomic<uint64_t> progress_{0};
    std::atomic<bool> rested_{false};
    std::atomic<clockid_t> cpuClock_{};
    std::atomic<pid_t> thread_{0};  // the one that runs it

    // Of the thread that runs the worker.
    Device* paused_ = nullptr;
    std::chrono::milliseconds pauseTime_{0};
    std::optional<std::chrono::steady_clock::time_point> refusedSince_;
    uint32_t spinsToSkip_ = 0;
    uint32_t vainSpins_ = 0;
};

}  // namespace mooncake::nvmeof_generic::io
