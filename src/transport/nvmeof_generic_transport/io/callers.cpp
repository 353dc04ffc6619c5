// SPDX-License-Identifier: Apache-2.0
#include "callers.h"

#include <glog/logging.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>
#include <thread>
#include <utility>

#include "settle.h"
#include "transport/nvmeof_generic_transport/common/signals.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint32_t kEntries = 512;
constexpr int kMostEvents = 128;

// Where workers end one request after the other, a thread that waits for many looks now and then.
constexpr std::chrono::nanoseconds kShortestNap = std::chrono::microseconds(20);
constexpr std::chrono::nanoseconds kLongestNap = std::chrono::microseconds(500);

constexpr uint32_t kVainPolls = 32;

/// What a thread remembers between its calls.
struct Memory {
    static constexpr uint64_t kUnknown = UINT64_MAX;

    void lookAt(const void* now) {
        if (place != now) harvests = kUnknown;
        place = now;
    }

    const void* place = nullptr;
    uint64_t harvests = kUnknown;  // of the place, when this thread last waited
    uint32_t vain = 0;             // polls in a row that brought nothing
    uint32_t ends = 0;             // of the workers, when this thread last waited
    std::chrono::nanoseconds nap = kShortestNap;
};
thread_local Memory memory;

/// NoBrokenPipe::isNeeded(), asked once in a round of the monitor: a program seldom changes its
/// mind, and the system call costs a tenth of what a small I/O costs in this library.
bool brokenPipeMatters(const Conditions& conditions) {
    struct Answer {
        const Conditions* from = nullptr;
        uint64_t tick = 0;
        bool needed = true;
    };
    thread_local Answer last;
    const uint64_t tick = conditions.tick.load(std::memory_order_relaxed);
    if (last.from != &conditions || last.tick != tick) {
        last = {&conditions, tick, NoBrokenPipe::isNeeded()};
    }
    return last.needed;
}

timespec timeOf(std::chrono::nanoseconds time) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {static_cast<time_t>(seconds.count()), static_cast<long>((time - seconds).count())};
}

}  // namespace

Callers::~Callers() {
    for (Place& place : places_) {
        if (place.context != nullptr) aio_.destroy(place.context);
    }
}

uint32_t Callers::numberOfThisThread() {
    static std::atomic<uint32_t> next{0};
    thread_local const uint32_t number = next.fetch_add(1, std::memory_order_relaxed);
    return number;
}

bool Callers::isOpen(Place& place) {
    if (place.state.load(std::memory_order_acquire) == State::kNew) {
        std::lock_guard lock(opening_);
        if (place.state.load(std::memory_order_relaxed) == State::kNew) {
            const Result<> opened = openContext(aio_, kEntries, place);
            if (!opened.ok()) {
                LOG_EVERY_T(WARNING, 60)
                    << "I/O workers submit for all threads: " << opened.error().message;
            }
            place.state.store(opened.ok() ? State::kOpen : State::kFailed,
                              std::memory_order_release);
        }
    }
    return place.state.load(std::memory_order_relaxed) == State::kOpen;
}

Device::Admission Callers::admit(Device& device, const IoRequest* requests, size_t count) {
    Place& place = ownPlace();
    Submission submission;
    const size_t room = isOpen(place) ? place.freeSlots() : 0;
    const Device::Admission admission = device.admit(requests, count, room, submission.batch);
    if (submission.batch.count > 0) {
        dispatcher_.push(device, submit(place, device, submission));
    } else {
        dispatcher_.push(device, admission.ready);
    }
    return admission;
}

void Callers::serve(Device& device, Lane lane) {
    if (lane != Lane::kCommon) return dispatcher_.push(device, lane);
    AioContext* context = nullptr;
    if (enabled()) {
        Place& place = ownPlace();
        if (isOpen(place)) context = &place;
    } else {
        // A worker sleeps at that one, and wakes when the I/O has ended.
        context = dispatcher_.offer(device);
        if (context == nullptr) return;
    }
    Submission submission;
    if (context == nullptr || !device.takeForCaller(context->freeSlots(), submission.batch)) {
        return dispatcher_.push(device, lane);
    }
    // A worker does what is left, and finds out what is wrong with it.
    dispatcher_.push(device, submit(*context, device, submission));
}

Readiness Callers::submit(AioContext& context, Device& device, Submission& submission) {
    const Batch& batch = submission.batch;
    prepare(bounce_, device, Waiting::kForbidden, submission);
    const auto count = static_cast<uint32_t>(batch.count);
    context.inFlight.fetch_add(count, std::memory_order_release);
    int result;
    {
        const NoBrokenPipe guard(brokenPipeMatters(conditions_));
        result = aio_.submit(context.context, count, submission.controls.data());
    }
    const auto taken = static_cast<uint32_t>(std::max(result, 0));
    context.noteSubmit(taken);
    if (taken < count) {
        context.inFlight.fetch_sub(count - taken, std::memory_order_release);
        if (result == -EOPNOTSUPP) device.wouldHaveBlocked(EOPNOTSUPP);
    }
    if (enabled()) dispatcher_.noteCaller();
    return device.endTurn(batch, taken, Turn::kWell);
}

void Callers::finish(Place& place, const io_event* events, int count) {
    if (count > 0) ++place.harvests;
    const uint32_t ended = settle(bounce_, place, events, count,
                                  [this](Device& device, Lane lane) { serve(device, lane); });
    // Not all of it need be this thread's; of another's place, nothing is.
    if (ended > 0 && (&place != &ownPlace() || sleepers_.load(std::memory_order_seq_cst) > 0)) {
        ends_.fetch_add(1, std::memory_order_seq_cst);
        wakeSleepers();
    }
}

/// @return whether something had ended; false also when somebody else is at it
bool Callers::reap(Place& place) {
    // Acquire: who submitted has opened the place, maybe just now.
    if (place.inFlight.load(std::memory_order_acquire) == 0 || !aio_.hasEvents(place.context) ||
        place.taken.exchange(true, std::memory_order_acquire)) {
        return false;
    }
    io_event events[kMostEvents];
    int count = kMostEvents;
    int total = 0;
    while (count == kMostEvents) {
        count = std::max(0, aio_.reap(place.context, kMostEvents, events));
        finish(place, events, count);
        total += count;
    }
    place.taken.store(false, std::memory_order_release);
    return total > 0;
}

bool Callers::visit(Place& place) {
    place.noteVisit();
    return reap(place);
}

bool Callers::poll() {
    Place& own = ownPlace();
    memory.lookAt(&own);
    if (own.inFlight.load(std::memory_order_relaxed) > 0) {
        const bool some = visit(own);
        memory.vain = some ? 0 : memory.vain + 1;
        // What it asks for may be another thread's, which does not.
        if (memory.vain % kVainPolls != kVainPolls - 1) return some;
    }
    bool some = false;
    for (Place& place : places_) {
        if (place.inFlight.load(std::memory_order_relaxed) > 0) some = visit(place) || some;
    }
    return some;
}

bool Callers::wait(std::chrono::nanoseconds limit) {
    Place* place = &ownPlace();
    const bool own = place->inFlight.load(std::memory_order_acquire) > 0;
    if (!own) {
        place = std::find_if(places_.begin(), places_.end(), [](const Place& each) {
            return each.inFlight.load(std::memory_order_acquire) > 0;
        });
    }
    limit = std::max(limit, std::chrono::nanoseconds(0));
    if (place == places_.end() || place->taken.exchange(true, std::memory_order_acquire)) {
        return waitForWorkers(limit);
    }
    place->noteVisit();
    // What was reaped since this thread last waited may be what it is waiting for.
    bool news = own && place == memory.place && place->harvests != memory.harvests;
    io_event events[kMostEvents];
    int count = aio_.reap(place->context, kMostEvents, events);
    if (count <= 0 && !news && place->inFlight.load(std::memory_order_relaxed) > 0) {
        count = waitAt(*place, events, limit, news);
    }
    finish(*place, events, std::max(0, count));
    if (own) {
        memory.place = place;
        memory.harvests = place->harvests;
    }
    place->taken.store(false, std::memory_order_release);
    return news || count > 0;
}

/// @param news  set where workers have ended something since this thread last waited
int Callers::waitAt(Place& place, io_event* events, std::chrono::nanoseconds limit, bool& news) {
    const uint32_t before = memory.ends;
    if (limit == std::chrono::nanoseconds(0)) {
        memory.ends = ends_.load(std::memory_order_relaxed);
        news = memory.ends != before;
        return 0;
    }
    timespec time = timeOf(limit);
    place.waited.store(true, std::memory_order_relaxed);
    waiters_.fetch_add(1, std::memory_order_seq_cst);
    int count = 0;
    if (ends_.load(std::memory_order_seq_cst) == before) {
        count = aio_.wait(place.context, kMostEvents, events, &time);
    }
    memory.ends = ends_.load(std::memory_order_relaxed);
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    place.waited.store(false, std::memory_order_relaxed);
    news = memory.ends != before;
    return count;
}

bool Callers::waitForWorkers(std::chrono::nanoseconds limit) {
    const uint32_t before = std::exchange(memory.ends, ends_.load(std::memory_order_relaxed));
    if (memory.ends != before) {
        if (limit == std::chrono::nanoseconds(0)) return true;
        std::this_thread::sleep_for(std::min(limit, memory.nap));
        memory.nap = std::min(memory.nap * 2, kLongestNap);
        return true;
    }
    if (limit == std::chrono::nanoseconds(0)) return false;
    memory.nap = kShortestNap;
    const timespec time = timeOf(limit);
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, &ends_, FUTEX_WAIT_PRIVATE, before, &time, nullptr, 0);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    memory.ends = ends_.load(std::memory_order_relaxed);
    return memory.ends != before;
}

void Callers::wakeSleepers() {
    if (sleepers_.load(std::memory_order_seq_cst) == 0) return;
    syscall(SYS_futex, &ends_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void Callers::noteEnd() {
    ends_.fetch_add(1, std::memory_order_seq_cst);
    wakeSleepers();
    if (waiters_.load(std::memory_order_seq_cst) == 0) return;
    for (Place& place : places_) {
        if (place.waited.exchange(false, std::memory_order_relaxed)) aio_.wake(place.context);
    }
}

bool Callers::sweep() {
    bool some = false;
    for (Place& place : places_) {
        const uint64_t visits = place.visits.load(std::memory_order_relaxed);
        if (std::exchange(place.visitsSeen, visits) == visits) some = reap(place) || some;
    }
    return some;
}

void Callers::addTo(SubmitCounts& counts) const {
    for (const Place& place : places_) place.addTo(counts);
}

bool Callers::idle() const {
    return std::all_of(places_.begin(), places_.end(), [](const Place& place) {
        return place.inFlight.load(std::memory_order_seq_cst) == 0;
    });
}

}  // namespace mooncake::nvmeof_generic::io
