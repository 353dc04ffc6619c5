// SPDX-License-Identifier: Apache-2.0
// I/O that the program's own threads submit and reap.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include "aio_context.h"
#include "aio_syscalls.h"
#include "bounce_pool.h"
#include "control_blocks.h"
#include "device.h"
#include "dispatcher.h"

namespace mooncake::nvmeof_generic::io {

/// Where a program looks after its transfers all the time (IoPool::poll()), a worker that is woken
/// for each submit and each completion costs more than the I/O. So a thread hands to the kernel
/// what can be submitted at once and without waiting, in a context that no worker waits at, and
/// takes the completions itself when it polls or waits. What is more than that, the workers do.
///
/// Nothing depends on the program: the monitor looks here, too, for what nobody has come for.
///
/// Thread-safe. No lock is held over a system call. A place's completions are one thread's at a
/// time; others who want them turn away.
class Callers {
 public:
    Callers(AioSyscalls& aio, const Conditions& conditions, BouncePool& bounce,
            Dispatcher& dispatcher)
        : aio_(aio), conditions_(conditions), bounce_(bounce), dispatcher_(dispatcher) {}
    ~Callers();
    Callers(const Callers&) = delete;
    Callers& operator=(const Callers&) = delete;

    /// From now on the program polls; to be called before the first request.
    void enable() { enabled_.store(true, std::memory_order_relaxed); }
    bool enabled() const { return enabled_.load(std::memory_order_relaxed); }

    /// Device::admit(), after which the device is served as by serve(). Where the program polls.
    /// @return with nothing to announce
    Device::Admission admit(Device& device, const IoRequest* requests, size_t count);

    /// Sees to it that a device that has become ready is served: by this thread, if that takes one
    /// submit that does not wait, else by a worker.
    void serve(Device& device, Lane lane);

    /// Deals with what has ended: of this thread's I/O, or of everybody's where it has none.
    /// @return whether something had
    bool poll();

    /// The same, after waiting for it. Returns early and without cause now and then.
    /// @param limit  how long at most; 0: not at all
    /// @return whether something has ended since this thread's last wait(), as far as it can know
    bool wait(std::chrono::nanoseconds limit);

    /// A worker has ended requests: lets threads that wait look.
    void noteEnd();

    /// Deals with what has ended where nobody has looked since the last time. Not thread-safe.
    /// @return whether there was any
    bool sweep();

    /// Whether none of it is in the kernel's hands.
    bool idle() const;

    /// What was submitted at contexts of its own.
    void addTo(SubmitCounts& counts) const;

 private:
    /// As many as threads are likely to submit at one time. More share them.
    static constexpr uint32_t kPlaces = 16;

    enum class State : uint8_t { kNew, kOpen, kFailed };
    struct alignas(64) Place : AioContext {
        std::atomic<State> state{State::kNew};
        std::atomic<bool> taken{false};   // by the thread that reaps it
        std::atomic<bool> waited{false};  // for completions, by that thread
        uint64_t harvests = 0;            // that brought something; the reaper's
        // How often somebody has come for what has ended, but for the monitor; relaxed.
        std::atomic<uint64_t> visits{0};
        uint64_t visitsSeen = 0;  // the monitor's

        // Of two at a time one may be lost: it does not matter how many there were.
        void noteVisit() {
            visits.store(visits.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        }
    };

    static uint32_t numberOfThisThread();
    Place& ownPlace() { return places_[numberOfThisThread() % kPlaces]; }
    bool isOpen(Place& place);
    bool reap(Place& place);
    bool visit(Place& place);
    void wakeSleepers();
    bool waitForWorkers(std::chrono::nanoseconds limit);
    int waitAt(Place& place, io_event* events, std::chrono::nanoseconds limit, bool& news);
    void finish(Place& place, const io_event* events, int count);
    Readiness submit(AioContext& context, Device& device, Submission& submission);

    AioSyscalls& aio_;
    const Conditions& conditions_;
    BouncePool& bounce_;
    Dispatcher& dispatcher_;
    std::atomic<bool> enabled_{false};
    std::atomic<uint32_t> ends_{0};      // that workers have told of; a futex
    std::atomic<uint32_t> sleepers_{0};  // threads that wait for that alone
    std::atomic<uint32_t> waiters_{0};   // threads that wait at a place
    std::mutex opening_;
    std::array<Place, kPlaces> places_;
};

}  // namespace mooncake::nvmeof_generic::io
