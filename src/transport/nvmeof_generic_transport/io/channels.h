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

/// The channels of one pool. A thread gets one when it first asks, and keeps it until it ends; then
/// the channel, with what is still in flight on it, is the next thread's. Channels stay where they
/// are as long as the pool exists.
///
/// Thread-safe.
class Channels {
 public:
    explicit Channels(AioSyscalls& aio);
    /// Nothing may be in flight.
    ~Channels();
    Channels(const Channels&) = delete;
    Channels& operator=(const Channels&) = delete;

    /// The calling thread's. @return null where it has none and can get none: without memory, with
    /// too many threads, for a thread of IoPool's own that was told so, and in a thread whose
    /// thread_local objects have been destroyed
    Channel* mine();

    /// A channel for a worker. @return null as mine()
    Channel* add();
    /// Makes `channel` the calling thread's; null: it never has one.
    void bind(Channel* channel);

    /// By Request::channel.
    Channel& at(uint16_t number) const {
        return *channels_[number].load(std::memory_order_acquire);
    }

    /// The records of requests of threads that have no channel.
    /// @return null without memory
    Request* allocateCommon();

    /// Calls visit(Channel&) for each.
    template <class Visit>
    void forEach(const Visit& visit) const {
        const uint32_t count = count_.load(std::memory_order_acquire);
        for (uint32_t i = 0; i < count; ++i) visit(*channels_[i].load(std::memory_order_relaxed));
    }

    /// Gives memory of channels back that are nobody's and idle.
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
