// SPDX-License-Identifier: Apache-2.0
#include "dispatcher.h"

#include <algorithm>
#include <thread>
#include <utility>

namespace mooncake::nvmeof_generic::io {

void Dispatcher::add(Slot& slot) {
    {
        const MutexLock lock(mutex_);
        slots_.push_back(&slot);
        if (!stopping()) return;
    }
    // stop() has not seen it, and it may be waiting since before.
    wakeToStop(slot);
}

void Dispatcher::setStuck(Lane lane, uint32_t count) {
    stuck_[index(lane)].store(count, std::memory_order_relaxed);
}

void Dispatcher::push(Device& device, Lane lane) {
    Slot* sleeper = nullptr;
    {
        const MutexLock lock(mutex_);
        append(device, lane);
        sleeper = sleeperFor(lane);
        if (sleeper != nullptr) noteAwake(*sleeper);
    }
    wake(sleeper);
}

Dispatcher::Slot* Dispatcher::offer(Device& device) {
    const MutexLock lock(mutex_);
    Slot* sleeper = sleeperFor(Lane::kCommon);
    if (sleeper == nullptr) append(device, Lane::kCommon);
    return sleeper;
}

Device* Dispatcher::pop(const Slot& slot) {
    if (!hasReady(slot)) return nullptr;
    const MutexLock lock(mutex_);
    const size_t i = index(slot.lane);
    Device* const device = ready_[i].pop();
    if (device != nullptr) readyCount_[i].fetch_sub(1, std::memory_order_relaxed);
    return device;
}

bool Dispatcher::sleep(Slot& slot) {
    const MutexLock lock(mutex_);
    if (stopping()) return false;
    if (!ready_[index(slot.lane)].empty() && works(slot)) return false;
    slot.asleep.store(true, std::memory_order_relaxed);
    return true;
}

void Dispatcher::wakeUp(Slot& slot) {
    if (!slot.asleep.load(std::memory_order_relaxed)) return;
    const MutexLock lock(mutex_);
    if (slot.asleep.load(std::memory_order_relaxed)) noteAwake(slot);
}

void Dispatcher::setActive(uint32_t count) {
    Slot* sleeper = nullptr;
    {
        const MutexLock lock(mutex_);
        conditions_.activeWorkers.store(count, std::memory_order_relaxed);
        for (Slot* slot : slots_) {
            const bool last = slot->lane == Lane::kCommon && works(*slot);
            if (last && slot->asleep.load(std::memory_order_relaxed)) sleeper = slot;
        }
        if (sleeper != nullptr) noteAwake(*sleeper);
    }
    wake(sleeper);
}

void Dispatcher::wakeForReady() {
    for (int i = 0; i < kLanes; ++i) {
        Slot* sleeper = nullptr;
        {
            const MutexLock lock(mutex_);
            if (ready_[i].empty()) continue;
            const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Slot* slot) {
                return slot->lane == static_cast<Lane>(i) && works(*slot) &&
                       slot->asleep.load(std::memory_order_relaxed);
            });
            if (found != slots_.end()) noteAwake(*(sleeper = *found));
        }
        wake(sleeper);
    }
}

void Dispatcher::stop() {
    std::vector<Slot*> slots;
    {
        const MutexLock lock(mutex_);
        stopping_.store(true, std::memory_order_release);
        monitorParked_.store(false, std::memory_order_relaxed);
        slots = slots_;
    }
    activity_.notifyAll();
    for (Slot* slot : slots) wakeToStop(*slot);
}

void Dispatcher::wakeToStop(Slot& slot) {
    while (aio_.wake(slot.channel.context().context) != 0) std::this_thread::yield();
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
    ready_[index(lane)].push(&device);
    readyCount_[index(lane)].fetch_add(1, std::memory_order_relaxed);
}

bool Dispatcher::isQuietLocked(uint64_t seen) const {
    return wakeUps() == seen && std::all_of(slots_.begin(), slots_.end(), [](const Slot* slot) {
               return slot->asleep.load(std::memory_order_relaxed);
           });
}

void Dispatcher::waitFor(std::chrono::milliseconds time) {
    const auto until = std::chrono::steady_clock::now() + time;
    const MutexLock lock(mutex_);
    while (!stopping() && activity_.waitUntil(mutex_, until)) {
    }
}

/// The first worker to wake for a lane, or null while one is awake.
Dispatcher::Slot* Dispatcher::sleeperFor(Lane lane) {
    Slot* sleeper = nullptr;
    for (Slot* slot : slots_) {
        if (slot->lane != lane || !works(*slot)) continue;
        if (!slot->asleep.load(std::memory_order_relaxed)) return nullptr;
        if (sleeper == nullptr) sleeper = slot;
    }
    return sleeper;
}

void Dispatcher::noteAwake(Slot& slot) {
    slot.asleep.store(false, std::memory_order_relaxed);
    wakeUps_.fetch_add(1, std::memory_order_relaxed);
    unparkMonitor();
}

void Dispatcher::wake(Slot* slot) {
    if (slot == nullptr) return;
    // The context keeps room for this one (openContext()): only a kernel short of memory refuses.
    // Then the monitor wakes the worker a little later (wakeForReady()).
    if (aio_.wake(slot->channel.context().context) == 0) return;
    const MutexLock lock(mutex_);
    slot->asleep.store(true, std::memory_order_relaxed);
}

}  // namespace mooncake::nvmeof_generic::io
