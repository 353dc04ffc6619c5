// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>
#include <thread>
#include <utility>

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr int kMostEvents = 128;

// Polls in vain after which a thread looks at what others have left.
constexpr uint32_t kVainPolls = 32;

// For how many rounds of the monitor ends are counted after a thread has waited for others'.
constexpr uint64_t kCountedRounds = 200;

// What the first of its waits is limited to: what ended just before was not counted.
constexpr std::chrono::nanoseconds kFirstWait = std::chrono::milliseconds(1);

// Where others end one request after the other, a thread that waits for many looks now and then.
constexpr std::chrono::nanoseconds kShortestNap = std::chrono::microseconds(20);
constexpr std::chrono::nanoseconds kLongestNap = std::chrono::microseconds(500);

timespec timeOf(std::chrono::nanoseconds time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((time - seconds).count())};
}

bool hasInFlight(const Channel& channel) {
    return channel.context().inFlight.load(std::memory_order_acquire) > 0;
}

}  // namespace

/// Reaps what is there. @param mine  the calling thread's channel, or null
/// @return how many requests have ended
uint64_t Progress::reap(Channel& channel, Channel* mine) {
    io_context_t const context = channel.context().context;
    // Asked before the right is: most polls find nothing.
    if (!aio_.hasEvents(context) || !channel.tryReap()) return 0;
    RequestEnd end(channels_, aio_, mine);
    io_event events[kMostEvents];
    int count = kMostEvents;
    while (count == kMostEvents) {
        count = std::max(0, aio_.reap(context, kMostEvents, events));
        settle(bounce_, channel.context(), events, count, end,
               &channel == mine ? &server_ : nullptr);
    }
    channel.endReap();
    if (end.ended() > 0) noteEnded(mine);
    return end.ended();
}

bool Progress::poll() {
    Channel* const mine = channels_.mine();
    if (mine != nullptr) {
        mine->attend(conditions_.tick.load(std::memory_order_relaxed));
        if (hasInFlight(*mine)) {
            if (reap(*mine, mine) > 0) {
                mine->vainPolls = 0;
                if (!mine->hasOutstanding()) mine->memory().trim();
                return true;
            }
            // What it asks for may be another thread's, which does not.
            if (++mine->vainPolls % kVainPolls != 0) return false;
        }
    }
    return reapOthers(mine);
}

bool Progress::wait(std::chrono::nanoseconds limit) {
    limit = std::max(limit, std::chrono::nanoseconds(0));
    Channel* const mine = channels_.mine();
    if (mine == nullptr) return waitForOthers(nullptr, limit);
    mine->attend(conditions_.tick.load(std::memory_order_relaxed));
    if (mine->takeNews()) return true;
    if (!mine->isOpen() || !mine->hasOutstanding()) return waitForOthers(mine, limit);

    // Who else reaps here takes moments.
    while (!mine->tryReap()) std::this_thread::yield();
    io_event events[kMostEvents];
    int count = std::max(0, aio_.reap(mine->context().context, kMostEvents, events));
    if (count == 0 && limit > std::chrono::nanoseconds(0)) {
        timespec time = timeOf(limit);
        count = std::max(0, mine->sleep(aio_, kMostEvents, events, &time));
    }
    RequestEnd end(channels_, aio_, mine);
    settle(bounce_, mine->context(), events, count, end, &server_);
    mine->endReap();
    mine->attend(conditions_.tick.load(std::memory_order_relaxed));
    if (end.ended() > 0) noteEnded(mine);
    return mine->takeNews();
}

/// @param mine  the calling thread's channel, or null
bool Progress::reapOthers(Channel* mine) {
    const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
    bool some = false;
    channels_.forEach([&](Channel& channel) {
        if (&channel != mine && isLeft(channel, tick)) some = reap(channel, mine) > 0 || some;
    });
    return some;
}

/// Whether the channel has I/O in flight that its thread does not come back for.
bool Progress::isLeft(const Channel& channel, uint64_t tick) const {
    if (!hasInFlight(channel) || channel.isWorkers()) return false;
    return channel.owner.load(std::memory_order_relaxed) == nullptr ||
           channel.attended() + 1 < tick;
}

Progress::Sweep Progress::sweep() {
    const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
    Sweep found = Sweep::kIdle;
    channels_.forEach([&](Channel& channel) {
        if (!hasInFlight(channel) || channel.isWorkers()) return;
        if (found == Sweep::kIdle) found = Sweep::kAttended;
        if (!isLeft(channel, tick)) return;
        found = Sweep::kLeft;
        // Before its thread can hear of the end.
        const bool owned = channel.owner.load(std::memory_order_relaxed) != nullptr;
        if (owned && aio_.hasEvents(channel.context().context)) channel.handOver();
        reap(channel, nullptr);
    });
    return found;
}

bool Progress::idle() const {
    bool idle = true;
    channels_.forEach([&idle](const Channel& channel) {
        const uint32_t inFlight = channel.context().inFlight.load(std::memory_order_seq_cst);
        idle = idle && (channel.isWorkers() || inFlight == 0);
    });
    return idle;
}

bool Progress::hasWaiters() const {
    if (sleepers_.load(std::memory_order_seq_cst) > 0) return true;
    const uint64_t last = waitTick_.load(std::memory_order_relaxed);
    return last != 0 && conditions_.tick.load(std::memory_order_relaxed) - last < kCountedRounds;
}

void Progress::noteEnded(Channel* by) {
    if (!hasWaiters()) return;
    ends_.fetch_add(1, std::memory_order_seq_cst);
    if (by != nullptr) ++by->seenEnds;
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    syscall(SYS_futex, &ends_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

bool Progress::waitForOthers(Channel* mine, std::chrono::nanoseconds limit) {
    const bool counted = hasWaiters();
    const uint64_t tick = conditions_.tick.load(std::memory_order_relaxed);
    if (waitTick_.load(std::memory_order_relaxed) != tick) {
        waitTick_.store(tick, std::memory_order_relaxed);
    }
    if (reapOthers(mine)) return true;

    const uint32_t ends = ends_.load(std::memory_order_seq_cst);
    if (mine != nullptr) {
        const uint32_t before = std::exchange(mine->seenEnds, ends);
        if (before != ends) {
            if (limit > std::chrono::nanoseconds(0) && mine->nap > std::chrono::nanoseconds(0)) {
                std::this_thread::sleep_for(std::min(limit, mine->nap));
            }
            mine->nap = std::clamp(mine->nap * 2, kShortestNap, kLongestNap);
            return true;
        }
        mine->nap = std::chrono::nanoseconds(0);
    }
    if (limit == std::chrono::nanoseconds(0)) return false;
    const timespec time = timeOf(counted ? limit : std::min(limit, kFirstWait));
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, &ends_, FUTEX_WAIT_PRIVATE, ends, &time, nullptr, 0);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    const uint32_t now = ends_.load(std::memory_order_relaxed);
    if (mine != nullptr) mine->seenEnds = now;
    return now != ends;
}

}  // namespace mooncake::nvmeof_generic::io
