// SPDX-License-Identifier: Apache-2.0
#include "dispatcher.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace mooncake::nvmeof_generic::io {

void Dispatcher::add(Seat& seat) {
    const MutexLock lock(mutex_);
    seats_.push_back(&seat);
}

void Dispatcher::setStuck(Lane lane, uint32_t count) {
    stuck_[index(lane)].store(count, std::memory_order_relaxed);
}

void Dispatcher::push(Device& device, Lane lane) {
    Seat* sleeper = nullptr;
    {
        const MutexLock lock(mutex_);
        append(device, lane);
        sleeper = sleeperFor(lane);
        if (sleeper != nullptr) noteAwake(*sleeper);
    }
    wake(sleeper);
}

Dispatcher::Seat* Dispatcher::offer(Device& device) {
    const MutexLock lock(mutex_);
    Seat* sleeper = sleeperFor(Lane::kCommon);
    if (sleeper == nullptr) append(device, Lane::kCommon);
    return sleeper;
}

Device* Dispatcher::pop(const Seat& seat) {
    if (!hasReady(seat)) return nullptr;
    const MutexLock lock(mutex_);
    const size_t i = index(seat.lane);
    Device* device = head_[i];
    if (device != nullptr) {
        head_[i] = device->nextReady;
        if (head_[i] == nullptr) tail_[i] = nullptr;
        readyCount_[i].fetch_sub(1, std::memory_order_relaxed);
    }
    return device;
}

bool Dispatcher::sleep(Seat& seat) {
    const MutexLock lock(mutex_);
    if (stopping()) return false;
    if (head_[index(seat.lane)] != nullptr && works(seat)) return false;
    seat.asleep.store(true, std::memory_order_relaxed);
    return true;
}

void Dispatcher::wakeUp(Seat& seat) {
    if (!seat.asleep.load(std::memory_order_relaxed)) return;
    const MutexLock lock(mutex_);
    if (seat.asleep.load(std::memory_order_relaxed)) noteAwake(seat);
}

void Dispatcher::setActive(uint32_t count) {
    Seat* sleeper = nullptr;
    {
        const MutexLock lock(mutex_);
        conditions_.activeWorkers.store(count, std::memory_order_relaxed);
        for (Seat* seat : seats_) {
            const bool last = seat->lane == Lane::kCommon && works(*seat);
            if (last && seat->asleep.load(std::memory_order_relaxed)) sleeper = seat;
        }
        if (sleeper != nullptr) noteAwake(*sleeper);
    }
    wake(sleeper);
}

void Dispatcher::rouse() {
    for (int i = 0; i < kLanes; ++i) {
        Seat* sleeper = nullptr;
        {
            const MutexLock lock(mutex_);
            if (head_[i] == nullptr) continue;
            for (Seat* seat : seats_) {
                if (seat->lane == static_cast<Lane>(i) && works(*seat) &&
                    seat->asleep.load(std::memory_order_relaxed)) {
                    sleeper = seat;
                    break;
                }
            }
            if (sleeper != nullptr) noteAwake(*sleeper);
        }
        wake(sleeper);
    }
}

void Dispatcher::stop() {
    std::vector<Seat*> seats;
    {
        const MutexLock lock(mutex_);
        stopping_.store(true, std::memory_order_release);
        monitorParked_.store(false, std::memory_order_relaxed);
        seats = seats_;
    }
    activity_.notifyAll();
    for (Seat* seat : seats) {
        while (aio_.wake(seat->channel.context().context) != 0) std::this_thread::yield();
    }
}

bool Dispatcher::isQuiet(uint64_t seen) const {
    const MutexLock lock(mutex_);
    return isQuietLocked(seen);
}

void Dispatcher::waitForActivity(uint64_t seen, const std::function<bool()>& callersIdle) {
    const MutexLock lock(mutex_);
    if (!isQuietLocked(seen) || stopping()) return;
    // One of the two sees the other: this one the I/O, or the caller that nobody looks after it.
    monitorParked_.store(true, std::memory_order_seq_cst);
    if (!callersIdle()) monitorParked_.store(false, std::memory_order_relaxed);
    while (monitorParked_.load(std::memory_order_relaxed)) activity_.wait(mutex_);
}

void Dispatcher::noteCaller() {
    if (!monitorParked_.load(std::memory_order_seq_cst)) return;
    const MutexLock lock(mutex_);
    unparkMonitor();
}

void Dispatcher::unparkMonitor() {
    if (!monitorParked_.load(std::memory_order_relaxed)) return;
    monitorParked_.store(false, std::memory_order_relaxed);
    activity_.notifyAll();
}

void Dispatcher::append(Device& device, Lane lane) {
    const size_t i = index(lane);
    device.nextReady = nullptr;
    (tail_[i] != nullptr ? tail_[i]->nextReady : head_[i]) = &device;
    tail_[i] = &device;
    readyCount_[i].fetch_add(1, std::memory_order_relaxed);
}

bool Dispatcher::isQuietLocked(uint64_t seen) const {
    return wakeUps() == seen && std::all_of(seats_.begin(), seats_.end(), [](const Seat* seat) {
               return seat->asleep.load(std::memory_order_relaxed);
           });
}

void Dispatcher::waitFor(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    const MutexLock lock(mutex_);
    while (!stopping() && activity_.waitUntil(mutex_, until)) {
    }
}

/// The first worker to wake for a lane, or null while one is awake.
Dispatcher::Seat* Dispatcher::sleeperFor(Lane lane) {
    Seat* sleeper = nullptr;
    for (Seat* seat : seats_) {
        if (seat->lane != lane || !works(*seat)) continue;
        if (!seat->asleep.load(std::memory_order_relaxed)) return nullptr;
        if (sleeper == nullptr) sleeper = seat;
    }
    return sleeper;
}

void Dispatcher::noteAwake(Seat& seat) {
    seat.asleep.store(false, std::memory_order_relaxed);
    wakeUps_.fetch_add(1, std::memory_order_relaxed);
    unparkMonitor();
}

void Dispatcher::wake(Seat* seat) {
    if (seat == nullptr) return;
    // The context keeps room for this one (openContext()): only a kernel short of memory refuses.
    // Then the monitor wakes the worker a little later (rouse()).
    if (aio_.wake(seat->channel.context().context) == 0) return;
    const MutexLock lock(mutex_);
    seat->asleep.store(true, std::memory_order_relaxed);
}

}  // namespace mooncake::nvmeof_generic::io
