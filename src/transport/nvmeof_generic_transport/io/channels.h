// SPDX-License-Identifier: Apache-2.0
// Which thread has which channel.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "channel.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

/// The channels of one pool. A thread gets a channel when it first asks, and keeps it until it
/// ends. The next thread that asks then gets that channel, with the I/O that is still in flight on
/// it. Channels are destroyed with the pool.
///
/// Thread-safe.
class Channels {
 public:
    explicit Channels(AioSyscalls& aio);
    /// Nothing may be in flight.
    ~Channels();
    Channels(const Channels&) = delete;
    Channels& operator=(const Channels&) = delete;

    /// The calling thread's channel.
    /// @return null without memory, with more threads than kMost, after bind(nullptr), and in a
    ///     thread whose thread_local objects have been destroyed
    Channel* mine();

    /// Makes a channel for a worker, which bind() gives to its thread.
    /// @return null without memory, or with more channels than kMost
    Channel* add();
    /// Makes `channel` the calling thread's. With null the thread never gets one.
    void bind(Channel* channel);

    /// @param number  Request::channel
    Channel& at(uint16_t number) const {
        return *channels_[number].load(std::memory_order_acquire);
    }

    /// A record for a request of a thread that has no channel.
    /// @return null without memory
    Request* allocateCommon();

    /// In a forked child: the pools and channels that it has inherited are its parent's.
    static void forgetAfterFork() noexcept MC_NO_THREAD_SAFETY_ANALYSIS;

    /// Calls visit(Channel&) for each.
    template <class Visit>
    void forEach(const Visit& visit) const {
        const uint32_t count = count_.load(std::memory_order_acquire);
        for (uint32_t i = 0; i < count; ++i) visit(*channels_[i].load(std::memory_order_relaxed));
    }

    /// Frees the memory of channels that have no owner and nothing in flight.
    void trim();

 private:
    friend struct ThreadEnd;
    static constexpr uint32_t kMost = 2048;
    /// The one whose memory is everybody's.
    static constexpr uint16_t kCommon = 0;
    /// Threads that close channels at the end.
    static constexpr uint32_t kMostClosers = 64;

    Channel* find(const void* owner) const MC_REQUIRES(mutex_);
    Channel* make(const void* owner, bool workers) MC_REQUIRES(mutex_);
    void release(const void* owner);
    void closeAll() noexcept;

    // The pools that exist, for threads that end. Without destructors: threads may end after static
    // objects have, and this library may be unloaded.
    static Mutex poolsMutex;
    static Channels* firstPool MC_GUARDED_BY(poolsMutex);

    const uint64_t id_;
    Channels* nextPool_ MC_GUARDED_BY(poolsMutex) = nullptr;
    AioSyscalls& aio_;
    Mutex mutex_;  // of owners, and of the common memory
    std::array<std::atomic<Channel*>, kMost> channels_{};
    std::atomic<uint32_t> count_{0};
};

}  // namespace mooncake::nvmeof_generic::io
