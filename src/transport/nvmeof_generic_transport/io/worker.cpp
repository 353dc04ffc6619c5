// SPDX-License-Identifier: Apache-2.0
#include "worker.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <utility>

#include "completion.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

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

Worker::Worker(WorkerServices& services, Channel& channel, Lane lane, uint32_t index)
    : services_(services), channel_(channel), slot_(channel, lane, index) {}

Worker::~Worker() {
    if (handle_.joinable()) handle_.join();
}

Result<> Worker::start() {
    const std::string name =
        (slot_.lane == Lane::kSlow ? "nvmeof-slow-" : "nvmeof-io-") + std::to_string(slot_.index);
    auto started = startThread(name, [this] { run(); });
    if (!started.ok()) return started.error();
    handle_ = started.take();
    return {};
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
    services_.channels.bind(&channel_);
    services_.dispatcher.wakeUp(slot_);
    while (work()) {
    }
    services_.channels.bind(nullptr);
}

/// @return false when the thread has to leave
bool Worker::work() {
    io_event events[kMostEvents];
    const int count = reap(events);
    settle(events, count);
    if (Device* device = services_.dispatcher.pop(slot_)) {
        serve(*device);
        return true;
    }
    if (count > 0) return true;
    if (services_.dispatcher.stopping()) return false;
    settle(events, rest(events));
    return true;
}

int Worker::reap(io_event* events) {
    // The monitor has the right only for moments, and while this thread is stuck.
    if (!channel_.tryReap()) return 0;
    const int count = services_.aio.reap(channel_.context().context, kMostEvents, events);
    channel_.endReap();
    return std::max(0, count);
}

void Worker::settle(const io_event* events, int count) {
    if (count == 0) return;
    RequestEnd end(services_.channels, services_.aio, &channel_);
    io::settle(services_.bounce, channel_.context(), events, count, end, nullptr);
    if (end.ended() > 0) services_.progress.noteEnded(&channel_);
    resumePaused();
}

void Worker::serve(Device& device) {
    Batch& batch = submission_.batch;
    switch (device.take(channel_.context().freeSlots(), channel_, batch)) {
        case Duty::kNone:
            return;
        case Duty::kSubmit:
            return submit(device);
        case Duty::kPause:
            return pause(device);
        case Duty::kCancel: {
            RequestEnd end(services_.channels, services_.aio, &channel_);
            cancelQueued(device, end);
            if (end.ended() > 0) services_.progress.noteEnded(&channel_);
            return device.endTurn(batch, 0, Turn::kWell);
        }
        case Duty::kClose:
            return closeDevice(device);
    }
}

void Worker::submit(Device& device) {
    AioContext& context = channel_.context();
    Batch& batch = submission_.batch;
    const size_t unsent = prepare(services_.bounce, Waiting::kAllowed, submission_);

    RequestEnd end(services_.channels, services_.aio, &channel_);
    Completions completions;
    Turn how = Turn::kWell;
    size_t at = 0;
    while (at < unsent) failUnsent(*batch.operations[at++], EFAULT, end, completions);
    while (at < batch.count) {
        const auto left = static_cast<uint32_t>(batch.count - at);
        const uint32_t others = context.inFlight.fetch_add(left, std::memory_order_release);
        systemCalls_.fetch_add(1, std::memory_order_release);
        const int result = services_.aio.submit(context.context, left, &submission_.controls[at]);
        systemCalls_.fetch_add(1, std::memory_order_release);
        const auto taken = static_cast<uint32_t>(std::max(result, 0));
        context.noteSubmit(taken, true);
        if (taken < left) context.inFlight.fetch_sub(left - taken, std::memory_order_release);
        at += taken;
        if (slot_.stuck.load(std::memory_order_relaxed)) {
            how = Turn::kBlocked;
            break;
        }
        if (taken > 0) {
            // What follows after fewer than asked, the next call tells what is wrong with it.
            refusedSince_.reset();
            pauseTime_ = {};
            continue;
        }
        if (result == -EINTR) continue;
        int64_t failed = result;
        if (result == 0 || result == -EAGAIN || result == -ENOMEM) {
            if (!outOfPatience(others)) {
                how = Turn::kPaused;
                break;
            }
            failed = -ENOMEM;
        }
        // The first one's own error; the others have not been looked at.
        complete(services_.bounce, *batch.operations[at++], failed, end, completions);
    }
    if (!completions.empty()) device.finish(completions, &channel_, false);
    if (end.ended() > 0) services_.progress.noteEnded(&channel_);
    // Paused first: whoever is told of a device that is ready may be done with it at once.
    if (how == Turn::kPaused) pause(device);
    device.endTurn(batch, at, how);
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

void Worker::closeDevice(Device& device) {
    systemCalls_.fetch_add(1, std::memory_order_release);
    device.close();
    systemCalls_.fetch_add(1, std::memory_order_release);
    services_.registry.remove(device);
}

/// Waits for completions, for devices that become ready, or for the end of a pause.
int Worker::rest(io_event* events) {
    if (const int count = spin(events); count != 0) return count;
    rested_.store(true, std::memory_order_relaxed);
    if (!services_.dispatcher.sleep(slot_)) return 0;
    timespec limit{0, static_cast<long>(std::chrono::nanoseconds(pauseTime_).count())};
    int count = 0;
    if (channel_.tryReap()) {
        count = services_.aio.wait(channel_.context().context, kMostEvents, events,
                                   paused_.empty() ? nullptr : &limit);
        channel_.endReap();
    }
    services_.dispatcher.wakeUp(slot_);
    if (count == 0) resumePaused();
    return std::max(0, count);
}

/// Looks for completions for a while. The longer that has been in vain, the rarer it is done.
int Worker::spin(io_event* events) {
    const bool inFlight = channel_.context().inFlight.load(std::memory_order_relaxed) > 0;
    if (services_.spin.count() == 0 || !inFlight) return 0;
    if (spinsToSkip_ > 0) {
        --spinsToSkip_;
        return 0;
    }
    rested_.store(true, std::memory_order_relaxed);
    const auto until = std::chrono::steady_clock::now() + services_.spin;
    do {
        const int count = reap(events);
        if (count > 0 || services_.dispatcher.hasReady(slot_)) {
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
    if (paused_.empty()) {
        pauseTime_ = std::clamp(pauseTime_ * 2, kShortestPause, kLongestPause);
    }
    paused_.push(&device);
}

void Worker::resumePaused() {
    auto resumed = std::exchange(paused_, {});
    while (Device* const device = resumed.pop()) device->resume();
}

}  // namespace mooncake::nvmeof_generic::io
