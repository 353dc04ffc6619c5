// SPDX-License-Identifier: Apache-2.0
#include "monitor.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// After so many rounds in which nobody does anything the monitor sleeps.
constexpr uint32_t kQuietRounds = 4;

// Rounds in a row that every worker must have been busy in before another one is brought in.
constexpr uint32_t kBusyRounds = 3;
constexpr double kBusy = 0.8;

// Over how many rounds the workers' load is looked at before one is sent away.
constexpr uint32_t kWindowRounds = 16;
constexpr double kEnough = 0.6;

}  // namespace

Monitor::~Monitor() {
    if (thread_.joinable()) thread_.join();
}

Result<> Monitor::open() {
    return make(Lane::kCommon, tuning_.firstEntries);
}

Result<> Monitor::start() {
    Entry& first = lane(Lane::kCommon).front();
    if (!first.runs) {
        if (Result<> started = first.worker->start(); !started.ok()) return started;
        services_.dispatcher.add(first.worker->slot());
        first.runs = true;
    }
    auto started = startThread("nvmeof-io-mon", [this] { run(); });
    if (!started.ok()) return started.error();
    thread_ = started.take();
    return {};
}

void Monitor::run() {
    services_.channels.bind(nullptr);
    Dispatcher& dispatcher = services_.dispatcher;
    uint32_t quiet = 0;
    uint64_t wakeUps = dispatcher.wakeUps();
    auto length = tuning_.tick;
    lastRound_ = std::chrono::steady_clock::now();
    while (!dispatcher.stopping()) {
        dispatcher.waitFor(length);
        conditions_.tick.fetch_add(1, std::memory_order_relaxed);
        const auto swept = services_.progress.sweep();
        services_.heldBack.look(services_.progress, std::chrono::steady_clock::now());
        const bool idle = swept == Progress::Sweep::kIdle && services_.heldBack.empty();
        try {
            lookForStuck(Lane::kCommon);
            lookForStuck(Lane::kSlow);
            adjustActive();
        } catch (const std::bad_alloc&) {
            // It goes on with the workers that there are.
        }
        dispatcher.wakeForReady();

        length = swept == Progress::Sweep::kIdle ? tuning_.tick : tuning_.shortTick;
        // Read first: a worker that wakes while it is being asked ends the next wait.
        const uint64_t wakeUpsNow = dispatcher.wakeUps();
        const bool workersSleep = dispatcher.isQuiet(wakeUps);
        wakeUps = wakeUpsNow;
        if (!workersSleep || !idle) {
            quiet = 0;
        } else if (++quiet >= kQuietRounds) {
            services_.channels.trim();
            // What is asked once in a round is asked again after a pause.
            conditions_.tick.fetch_add(1, std::memory_order_relaxed);
            // In this order: what is held back was in flight before.
            dispatcher.waitForActivity(wakeUps, [this] {
                return services_.progress.idle() && services_.heldBack.empty();
            });
            quiet = 0;
            lastRound_ = std::chrono::steady_clock::now();
        }
    }
}

void Monitor::lookForStuck(Lane which) {
    Lanes& workers = lane(which);
    uint32_t stuck = 0;
    for (Entry& entry : workers) {
        Worker& worker = *entry.worker;
        const uint64_t now = worker.systemCalls();
        const bool inside = Worker::isInside(now) && now == entry.systemCalls;
        entry.systemCalls = now;
        const bool is =
            inside && (worker.slot().stuck.load(std::memory_order_relaxed) || worker.threadWaits());
        worker.slot().stuck.store(is, std::memory_order_relaxed);
        if (!is) continue;
        ++stuck;
        services_.progress.reapStuck(worker.slot().channel);
    }
    services_.dispatcher.setStuck(which, stuck);
    if (stuck == 0) return;
    // Before the next one blocks there, too: where it does is to be kept away from the others.
    if (!conditions_.slowLane.load(std::memory_order_relaxed) && bringIn(Lane::kSlow, 0)) {
        conditions_.slowLane.store(true, std::memory_order_relaxed);
    }
    const uint32_t wanted =
        which == Lane::kSlow ? 1 : conditions_.activeWorkers.load(std::memory_order_relaxed);
    for (size_t i = 0; i < wanted + stuck; ++i) {
        if (!bringIn(which, i)) break;
    }
}

/// @return whether the worker runs
bool Monitor::bringIn(Lane which, size_t index) {
    const auto failed = [](const Result<>& result) {
        LOG_EVERY_T(WARNING, 60) << "I/O goes on with fewer workers: " << result.error().message;
        return false;
    };
    Lanes& workers = lane(which);
    if (index == workers.size()) {
        if (Result<> made = make(which, tuning_.furtherEntries); !made.ok()) return failed(made);
    }
    Entry& entry = workers[index];
    if (entry.runs) return true;
    if (Result<> started = entry.worker->start(); !started.ok()) return failed(started);
    services_.dispatcher.add(entry.worker->slot());
    entry.runs = true;
    return true;
}

/// Adds a worker to a lane, with a context, but without a thread.
Result<> Monitor::make(Lane which, uint32_t entries) {
    if (spare_ == nullptr) spare_ = services_.channels.add();
    if (spare_ == nullptr) return makeError(ENOMEM, "a channel for an I/O worker");
    if (const int code = spare_->tryOpen(services_.aio, entries); code != 0) {
        return contextError(code);
    }
    Lanes& workers = lane(which);
    const auto index = static_cast<uint32_t>(workers.size());
    workers.push_back({std::make_unique<Worker>(services_, *spare_, which, index)});
    spare_ = nullptr;
    return {};
}

void Monitor::adjustActive() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::nanoseconds passed = now - lastRound_;
    lastRound_ = now;
    const uint32_t active = conditions_.activeWorkers.load(std::memory_order_relaxed);

    bool allBusy = true;
    uint32_t seen = 0;
    for (Entry& entry : lane(Lane::kCommon)) {
        if (seen == active) break;
        if (entry.worker->slot().stuck.load(std::memory_order_relaxed)) continue;
        ++seen;
        // Without rest is not enough: a thread that waits for a processor has none either, and
        // another one would only make it wait longer.
        if (entry.worker->tookRest()) allBusy = false;
        if (!allBusy && active == 1) break;
        const int64_t cpuTime = entry.worker->cpuTime();
        const int64_t used = std::clamp<int64_t>(cpuTime - entry.cpuTime, 0, passed.count());
        entry.cpuTime = cpuTime;
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
        const size_t next = std::count_if(lane(Lane::kCommon).begin(), lane(Lane::kCommon).end(),
                                          [](const Entry& entry) { return entry.runs; });
        if (next > active || bringIn(Lane::kCommon, next))
            services_.dispatcher.setActive(active + 1);
    } else if (windowRounds_ >= kWindowRounds) {
        if (active > 1 && static_cast<double>(windowCpu_) <
                              kEnough * static_cast<double>(windowTime_.count()) * (active - 1)) {
            services_.dispatcher.setActive(active - 1);
        }
    } else {
        return;
    }
    windowRounds_ = 0;
    windowCpu_ = 0;
    windowTime_ = {};
}

}  // namespace mooncake::nvmeof_generic::io
