// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>

#include "completion.h"
#include "settle.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr int kMostEvents = 128;

constexpr std::chrono::milliseconds kShortestPause{1};
constexpr std::chrono::milliseconds kLongestPause{100};

// How long the kernel may refuse I/O although it holds none of this worker.
constexpr std::chrono::seconds kPatience{10};

constexpr uint32_t kMostSpinsToSkip = 64;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

Worker::Worker(WorkerWorld& world, uint32_t index, Lane lane) : world_(world) {
    seat_.index = index;
    seat_.lane = lane;
}

Worker::~Worker() {
    if (isOpen()) world_.aio.destroy(seat_.context);
}

Result<> Worker::open(uint32_t entries) {
    return openContext(world_.aio, entries, seat_);
}

bool Worker::depose(uint64_t progress) {
    return progress_.compare_exchange_strong(progress, progress + 1, std::memory_order_acq_rel);
}

bool Worker::threadWaits() const {
    const std::string thread = std::to_string(thread_.load(std::memory_order_acquire));
    std::ifstream file("/proc/self/task/" + thread + "/stat");
    std::string line;
    std::getline(file, line);
    // The state follows the name, which stands in parentheses and may contain anything.
    const size_t name = line.rfind(") ");
    return name == std::string::npos || line[name + 2] != 'R';
}

int64_t Worker::cpuTime() const {
    timespec time{};
    if (thread_.load(std::memory_order_acquire) == 0 ||
        clock_gettime(cpuClock_.load(std::memory_order_relaxed), &time) != 0) {
        return 0;
    }
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void Worker::run() {
    clockid_t clock;
    if (pthread_getcpuclockid(pthread_self(), &clock) == 0) {
        cpuClock_.store(clock, std::memory_order_relaxed);
    }
    thread_.store(gettid(), std::memory_order_release);
    world_.dispatcher.wakeUp(seat_);
    Tenure tenure{progress_.load(std::memory_order_acquire), {}};
    while (turn(tenure)) {
    }
}

/// @return false when the thread has to leave
bool Worker::turn(Tenure& tenure) {
    io_event events[kMostEvents];
    int count = reap(events);
    handle(events, count);
    if (Device* device = world_.dispatcher.pop(seat_)) return serve(tenure, *device);
    if (count > 0) return true;
    if (world_.dispatcher.stopping()) return false;
    count = rest(events);
    handle(events, count);
    return true;
}

int Worker::reap(io_event* events) {
    return std::max(0, world_.aio.reap(seat_.context, kMostEvents, events));
}

void Worker::handle(io_event* events, int count) {
    const uint32_t ended =
        settle(world_.bounce, seat_, events, count,
               [this](Device& device, Lane lane) { world_.dispatcher.push(device, lane); });
    if (ended == 0) return;
    world_.callers.noteEnd();
    if (paused_ != nullptr) resumePaused();
}

void Worker::report(Device& device, Harvest& harvest) {
    deliver(world_.bounce, device, harvest,
            [this](Device& ready, Lane lane) { world_.dispatcher.push(ready, lane); });
}

bool Worker::serve(Tenure& tenure, Device& device) {
    Batch& batch = tenure.submission.batch;
    switch (device.take(seat_.freeSlots(), batch)) {
        case Duty::kNone:
            return true;
        case Duty::kSubmit:
            return submit(tenure, device);
        case Duty::kPause:
            pause(device);
            return true;
        case Duty::kCancel: {
            Harvest harvest;
            cancelQueued(device, harvest);
            report(device, harvest);
            world_.dispatcher.push(device, device.endTurn(batch, 0, Turn::kWell));
            return true;
        }
        case Duty::kClose:
            return closeDevice(tenure, device);
    }
    return true;
}

bool Worker::submit(Tenure& tenure, Device& device) {
    Submission& submission = tenure.submission;
    const size_t count = submission.batch.count;
    prepare(world_.bounce, device, Waiting::kAllowed, submission);

    Harvest harvest;
    Turn how = Turn::kWell;
    bool mine = true;
    size_t at = 0;
    while (at < count) {
        const auto left = static_cast<uint32_t>(count - at);
        // A deposed thread settles its share late: the count is right all the same.
        const uint32_t others = seat_.inFlight.fetch_add(left, std::memory_order_release);
        enterSystemCall(tenure);
        const int result = world_.aio.submit(seat_.context, left, &submission.controls[at]);
        mine = leaveSystemCall(tenure);
        const auto taken = static_cast<uint32_t>(std::max(result, 0));
        seat_.noteSubmit(taken);
        if (taken < left) seat_.inFlight.fetch_sub(left - taken, std::memory_order_release);
        at += taken;
        if (!mine) {
            how = Turn::kBlocked;
            break;
        }
        if (taken > 0) {
            // Of what follows after fewer than asked, the next call tells what is wrong with it.
            refusedSince_.reset();
            pauseTime_ = {};
            continue;
        }
        if (result == -EINTR) continue;
        if (result == 0 || result == -EAGAIN || result == -ENOMEM) {
            if (!outOfPatience(others)) {
                how = Turn::kPaused;
                break;
            }
            complete(world_.bounce, *submission.batch.operations[at++], -ENOMEM, harvest);
        } else {
            // The first one's own error; the others have not been looked at.
            complete(world_.bounce, *submission.batch.operations[at++], result, harvest);
        }
    }
    if (!harvest.empty()) report(device, harvest);
    // Paused first: whoever is told of a device that is ready may be done with it at once.
    const Readiness ready = device.endTurn(submission.batch, at, how);
    if (how == Turn::kPaused) pause(device);
    world_.dispatcher.push(device, ready);
    return mine;
}

/// @param others  I/Os of this worker in the kernel
bool Worker::outOfPatience(uint32_t others) {
    const auto now = std::chrono::steady_clock::now();
    if (others > 0 || !refusedSince_) {
        refusedSince_ = now;
        return false;
    }
    return now - *refusedSince_ > kPatience;
}

bool Worker::closeDevice(Tenure& tenure, Device& device) {
    enterSystemCall(tenure);
    device.close();
    const bool mine = leaveSystemCall(tenure);
    world_.registry.remove(device);
    return mine;
}

void Worker::enterSystemCall(Tenure& tenure) {
    // Release: who deposes this thread sees all that it has done to the worker.
    progress_.store(++tenure.progress, std::memory_order_release);
}

/// @return whether the worker is still this thread's
bool Worker::leaveSystemCall(Tenure& tenure) {
    uint64_t expected = tenure.progress;
    return progress_.compare_exchange_strong(expected, ++tenure.progress,
                                             std::memory_order_acq_rel);
}

/// Waits for completions, for devices that become ready, or for the end of a pause.
int Worker::rest(io_event* events) {
    if (const int count = spin(events); count != 0) return count;
    rested_.store(true, std::memory_order_relaxed);
    if (!world_.dispatcher.sleep(seat_)) return 0;
    timespec limit{0, static_cast<long>(std::chrono::nanoseconds(pauseTime_).count())};
    const int count =
        world_.aio.wait(seat_.context, kMostEvents, events, paused_ != nullptr ? &limit : nullptr);
    world_.dispatcher.wakeUp(seat_);
    if (paused_ != nullptr && count == 0) resumePaused();
    return std::max(0, count);
}

/// Looks for completions for a while. The longer that has been in vain, the rarer it is done.
int Worker::spin(io_event* events) {
    if (world_.spin.count() == 0 || seat_.inFlight.load(std::memory_order_relaxed) == 0) return 0;
    if (spinsToSkip_ > 0) {
        --spinsToSkip_;
        return 0;
    }
    rested_.store(true, std::memory_order_relaxed);
    const auto until = std::chrono::steady_clock::now() + world_.spin;
    do {
        const int count = reap(events);
        if (count > 0 || world_.dispatcher.hasReady(seat_)) {
            vainSpins_ = 0;
            return count;
        }
        relax();
    } while (std::chrono::steady_clock::now() < until);
    vainSpins_ = std::min(vainSpins_ * 2 + 1, kMostSpinsToSkip);
    spinsToSkip_ = vainSpins_;
    return 0;
}

void Worker::pause(Device& device) {
    if (paused_ == nullptr) {
        pauseTime_ = std::clamp(pauseTime_ * 2, kShortestPause, kLongestPause);
    }
    device.nextPaused = paused_;
    paused_ = &device;
}

void Worker::resumePaused() {
    Device* device = paused_;
    paused_ = nullptr;
    while (device != nullptr) {
        Device& each = *device;
        device = each.nextPaused;
        world_.dispatcher.push(each, each.resume());
    }
}

}  // namespace mooncake::nvmeof_generic::io
