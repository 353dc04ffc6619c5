// SPDX-License-Identifier: Apache-2.0
// A channel: what one thread needs to do I/O by itself.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "aio_context.h"
#include "aio_syscalls.h"
#include "channel_memory.h"
#include "control_blocks.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

/// A context of the kernel, the records of what it carries, and how much of it has ended. The
/// thread that submits on a channel also reaps it, so that threads do not meet. A thread of the
/// program and a worker have the same kind.
///
/// "Owner" is the thread that the channel belongs to at the moment. Members without another word
/// are the owner's. Whoever reaps, be it the owner or another thread because the owner does not
/// come back, first gets the right to: tryReap(). To clang's analysis the channel is that right.
class MC_CAPABILITY("right to reap") alignas(64) Channel {
 public:
    Channel(uint16_t number, bool workers) : number_(number), workers_(workers) {}
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    uint16_t number() const { return number_; }
    /// Whether it is a worker's, who always comes back unless it is stuck.
    bool isWorkers() const { return workers_; }
    ChannelMemory& memory() { return memory_; }

    /// Empty where the system granted none: workers do this thread's I/O then. Its members are as
    /// thread-safe as they say.
    AioContext& context() { return context_; }
    const AioContext& context() const { return context_; }
    bool isOpen() const { return open_.load(std::memory_order_acquire); }
    /// Asks the system for a context, once. @return isOpen()
    bool open(AioSyscalls& aio, uint32_t entries) noexcept;
    /// The same. @return as openContext()
    int tryOpen(AioSyscalls& aio, uint32_t entries) noexcept;
    /// Nothing may be in flight.
    void close(AioSyscalls& aio);

    // The memory for one io_submit, lent to one call at a time: a listener may submit in turn.
    /// @return null while it is lent
    Submission* borrowSubmission() {
        if (lent_) return nullptr;
        lent_ = true;
        submission_.batch.count = 0;
        return &submission_;
    }
    void giveBackSubmission() { lent_ = false; }

    // Who reaps. Thread-safe.
    bool tryReap() MC_TRY_ACQUIRE(true) {
        return !reaping_.exchange(true, std::memory_order_acquire);
    }
    void endReap() MC_RELEASE() { reaping_.store(false, std::memory_order_release); }

    // Whether the owner comes back for what has ended. Thread-safe.
    /// The owner has come.
    void attend(uint64_t tick) {
        if (attended_.load(std::memory_order_relaxed) != tick) {
            attended_.store(tick, std::memory_order_relaxed);
        }
        if (handedOver_.load(std::memory_order_relaxed)) {
            handedOver_.store(false, std::memory_order_relaxed);
        }
    }
    /// The owner has submitted while nothing was in flight: it need not have come before.
    void noteSubmit(uint64_t tick) { attended_.store(tick, std::memory_order_relaxed); }
    uint64_t attended() const { return attended_.load(std::memory_order_relaxed); }
    /// The owner has left something lying: workers are to do what it submits, until it comes back.
    void handOver() { handedOver_.store(true, std::memory_order_relaxed); }
    bool isHandedOver() const { return handedOver_.load(std::memory_order_relaxed); }

    /// Whether a submission has to keep SIGPIPE from the owner: NoBrokenPipe::isNeeded(), asked
    /// once in a round of the monitor, since a program seldom changes its mind, and the system call
    /// costs a tenth of what a small I/O costs in this library.
    bool brokenPipeMatters(uint64_t tick);

    /// Gives the channel to another owner. Under the mutex of Channels.
    void giveTo(const void* newOwner) {
        owner.store(newOwner, std::memory_order_relaxed);
        handedOver_.store(false, std::memory_order_relaxed);
        refused_ = false;
    }

    // What has become of the owner's requests.
    void noteIssued(uint64_t count) { issued_ += count; }
    void noteEndedHere() { ++endedHere_; }
    /// Of a thread that is not the owner. Wakes the owner, if it sleeps. Thread-safe.
    void noteEndedElsewhere(AioSyscalls& aio);
    bool hasOutstanding() const {
        return issued_ != endedHere_ + endedElsewhere_.load(std::memory_order_acquire);
    }
    /// Whether a request of the owner has ended since this was asked.
    bool takeNews() {
        const uint64_t ended = endedHere_ + endedElsewhere_.load(std::memory_order_acquire);
        const bool news = ended != seen_;
        seen_ = ended;
        return news;
    }
    /// Sleeps until something of the context has completed, or noteEndedElsewhere().
    /// @return as AioSyscalls::wait()
    int sleep(AioSyscalls& aio, long most, io_event* events, timespec* limit) MC_REQUIRES(this);

    // For Channels: whose it is; changed under its mutex.
    std::atomic<const void*> owner{nullptr};
    // For Progress; the owner's.
    uint32_t vainPolls = 0;
    uint64_t sweptTick = 0;
    uint32_t seenEnds = 0;
    std::chrono::nanoseconds nap{0};

 private:
    const uint16_t number_;
    const bool workers_;
    bool lent_ = false;
    bool refused_ = false;
    bool pipeMatters_ = true;
    uint64_t pipeTick_ = 0;  // when that was asked
    std::atomic<bool> open_{false};
    std::atomic<bool> handedOver_{false};
    std::atomic<uint64_t> attended_{0};
    uint64_t issued_ = 0;
    uint64_t endedHere_ = 0;
    uint64_t seen_ = 0;
    std::atomic<bool> reaping_{false};

    // What other threads write.
    alignas(64) std::atomic<uint64_t> endedElsewhere_{0};
    std::atomic<bool> sleeps_{false};

    alignas(64) AioContext context_;
    ChannelMemory memory_;
    Submission submission_;
};

}  // namespace mooncake::nvmeof_generic::io
