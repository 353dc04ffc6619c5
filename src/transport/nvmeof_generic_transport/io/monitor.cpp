// SPDX-License-Identifier: Apache-2.0
#include "monitor.h"

#include <glog/logging.h>

#include <algorithm>

namespace mooncake::nvmeof_generic::io {
namespace {

// While no worker is awake, and whoever submits also takes what has ended, rounds become longer, up
// to so many times. After so many rounds in which nobody does anything the monitor sleeps.
constexpr uint32_t kLongestRound = 16;
constexpr uint32_t kQuietRounds = 4;

// Rounds in a row that every worker must have been busy in before another one is brought in.
constexpr uint32_t kBusyRounds = 3;
constexpr double kBusy = 0.8;

// Over how many rounds the workers' load is looked at before one is sent away.
constexpr uint32_t kWindowRounds = 16;
constexpr double kEnough = 0.6;

constexpr uint64_t kTrimRounds = 128;

}  // namespace

Monitor::Monitor(const Tuning& tuning, WorkerWorld& world,
                 std::vector<std::unique_ptr<Worker>>& workers, Crew& crew)
    : tuning_(tuning), world_(world), workers_(workers), crew_(crew), seen_(workers.size()) {}

Monitor::~Monitor() {
    join();
}

Result<> Monitor::start() {
    if (Result<> ready = crew_.ensureSpare(); !ready.ok()) return ready;
    auto started = startThread("nvmeof-io-mon", [this] { run(); });
    if (!started.ok()) return started.error();
    thread_ = started.take();
    return {};
}

void Monitor::join() {
    if (thread_.joinable()) thread_.join();
}

void Monitor::run() {
    bringIn(0);
    uint32_t quiet = 0;
    uint32_t length = 1;
    uint64_t wakeUps = world_.dispatcher.wakeUps();
    lastRound_ = std::chrono::steady_clock::now();
    while (!world_.dispatcher.stopping()) {
        if (length == 1) {
            world_.dispatcher.waitFor(tuning_.tick);
        } else {
            world_.dispatcher.waitForWorkers(length * tuning_.tick, wakeUps);
        }
        const uint64_t tick = world_.conditions.tick.fetch_add(1, std::memory_order_relaxed);
        const bool unattended = world_.callers.sweep();
        lookForStuck();
        adjustActive();
        world_.dispatcher.rouse();
        if (tick % kTrimRounds == 0) trimDevices();

        // Read first: a worker that wakes while it is being asked ends the next wait.
        const uint64_t wakeUpsNow = world_.dispatcher.wakeUps();
        const bool workersSleep = world_.dispatcher.isQuiet(wakeUps);
        wakeUps = wakeUpsNow;
        length = workersSleep && !unattended ? std::min(2 * length, kLongestRound) : 1;
        if (!workersSleep || !world_.callers.idle()) {
            quiet = 0;
        } else if (++quiet >= kQuietRounds) {
            // Twice: the first time finds that a device has been used before.
            trimDevices();
            trimDevices();
            // What is asked once in a round is asked again after a pause.
            world_.conditions.tick.fetch_add(1, std::memory_order_relaxed);
            world_.dispatcher.waitForActivity(wakeUps, [this] { return world_.callers.idle(); });
            quiet = 0;
            length = 1;
            lastRound_ = std::chrono::steady_clock::now();
        }
    }
}

void Monitor::lookForStuck() {
    for (size_t i = 0; i < workers_.size(); ++i) {
        Worker& worker = *workers_[i];
        const uint64_t progress = worker.progress();
        const bool stuck = Worker::inSystemCall(progress) && progress == seen_[i].progress;
        seen_[i].progress = progress;
        if (!stuck || !worker.threadWaits()) continue;
        // Before the next one blocks there, too: where it does is to be kept away from the others.
        if (!world_.conditions.apart.load(std::memory_order_relaxed) &&
            bringIn(workers_.size() - 1)) {
            world_.conditions.apart.store(true, std::memory_order_relaxed);
        }
        if (Result<> ready = crew_.ensureSpare(); !ready.ok()) {
            LOG_EVERY_T(ERROR, 10)
                << "an I/O thread is stuck in the kernel and cannot be replaced: "
                << ready.error().message;
            continue;
        }
        if (worker.depose(progress)) crew_.man(worker);
    }
}

/// @return whether the worker runs
bool Monitor::bringIn(size_t index) {
    Seen& seen = seen_[index];
    if (seen.manned) return true;
    Worker& worker = *workers_[index];
    if (!worker.isOpen()) {
        if (Result<> opened = worker.open(tuning_.furtherEntries); !opened.ok()) {
            LOG_EVERY_T(WARNING, 60)
                << "I/O goes on with fewer workers: " << opened.error().message;
            return false;
        }
    }
    if (Result<> ready = crew_.ensureSpare(); !ready.ok()) {
        LOG_EVERY_T(WARNING, 60) << "I/O goes on with fewer workers: " << ready.error().message;
        return false;
    }
    world_.dispatcher.add(worker.seat());
    crew_.man(worker);
    seen.manned = true;
    return true;
}

void Monitor::adjustActive() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::nanoseconds passed = now - lastRound_;
    lastRound_ = now;
    const uint32_t active = world_.conditions.activeWorkers.load(std::memory_order_relaxed);

    bool allBusy = true;
    for (uint32_t i = 0; i < active; ++i) {
        // Without rest is not enough: a thread that waits for a processor has none either, and
        // another one would only make it wait longer.
        if (workers_[i]->tookRest()) allBusy = false;
        if (!allBusy && active == 1) break;
        const int64_t cpuTime = workers_[i]->cpuTime();
        const int64_t used = std::clamp<int64_t>(cpuTime - seen_[i].cpuTime, 0, passed.count());
        seen_[i].cpuTime = cpuTime;
        windowCpu_ += used;
        if (static_cast<double>(used) < kBusy * static_cast<double>(passed.count())) {
            allBusy = false;
        }
    }
    busyRounds_ = allBusy ? busyRounds_ + 1 : 0;
    windowTime_ += passed;
    ++windowRounds_;

    if (busyRounds_ >= kBusyRounds && active < tuning_.mostActive) {
        busyRounds_ = 0;
        if (bringIn(active)) world_.dispatcher.setActive(active + 1);
    } else if (windowRounds_ >= kWindowRounds) {
        if (active > 1 && static_cast<double>(windowCpu_) <
                              kEnough * static_cast<double>(windowTime_.count()) * (active - 1)) {
            world_.dispatcher.setActive(active - 1);
        }
    } else {
        return;
    }
    windowRounds_ = 0;
    windowCpu_ = 0;
    windowTime_ = {};
}

void Monitor::trimDevices() {
    for (const auto& device : world_.registry.all()) device->trim();
}

}  // namespace mooncake::nvmeof_generic::io
