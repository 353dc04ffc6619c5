// SPDX-License-Identifier: Apache-2.0
// A worker: a thread that takes the backlog of devices, with a channel like any other.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <thread>

#include "aio_syscalls.h"
#include "bounce_pool.h"
#include "channels.h"
#include "device.h"
#include "device_registry.h"
#include "dispatcher.h"
#include "held_back.h"
#include "progress.h"
#include "request_end.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic::io {

/// What all workers of a pool use.
struct WorkerServices {
    AioSyscalls& aio;
    Dispatcher& dispatcher;
    BouncePool& bounce;
    DeviceRegistry& registry;
    Channels& channels;
    Progress& progress;
    HeldBack& heldBack;
    std::chrono::microseconds spin;
};

/// A worker may block in io_submit. Then it is stuck: it holds its turn of one device and the batch
/// that it is submitting, and nothing else. The monitor has another worker serve the other devices,
/// and reaps this one's channel meanwhile.
class Worker {
 public:
    /// @param channel  its own, from Channels::add(), with a context
    Worker(WorkerServices& services, Channel& channel, Lane lane, uint32_t index);
    /// Waits for the thread; the Dispatcher must have been told to stop.
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Starts the thread. @return as startThread()
    Result<> start();

    Dispatcher::Slot& slot() { return slot_; }

    // For the monitor.
    /// Counts the system calls that may block: odd during one.
    uint64_t systemCalls() const { return systemCalls_.load(std::memory_order_acquire); }
    static bool isInside(uint64_t systemCalls) { return systemCalls % 2 == 1; }
    /// Whether the thread waits for something, in contrast to working or waiting for a processor.
    bool threadWaits() const;
    /// Whether it has run out of things to do since the last call.
    bool tookRest() { return rested_.exchange(false, std::memory_order_relaxed); }
    /// Processor time of the thread in nanoseconds; 0 when there is none.
    int64_t cpuTime() const;

 private:
    void run();
    bool work();
    int reap(io_event* events);
    void settle(const io_event* events, int count);
    void serve(Device& device);
    void submit(Device& device);
    bool outOfPatience(uint32_t others);
    void closeDevice(Device& device);
    int rest(io_event* events);
    int spin(io_event* events);
    void pause(Device& device);
    void resumePaused();

    WorkerServices& services_;
    Channel& channel_;
    Dispatcher::Slot slot_;
    Submission submission_;
    std::atomic<uint64_t> systemCalls_{0};
    std::atomic<bool> rested_{false};
    std::atomic<clockid_t> cpuClock_{};
    std::atomic<pid_t> thread_{0};

    // The thread's own.
    Chain<Device, &Device::nextPaused> paused_;
    std::chrono::milliseconds pauseTime_{0};
    std::optional<std::chrono::steady_clock::time_point> refusedSince_;
    uint32_t spinsToSkip_ = 0;
    uint32_t vainSpins_ = 0;
    std::thread handle_;
};

}  // namespace mooncake::nvmeof_generic::io
