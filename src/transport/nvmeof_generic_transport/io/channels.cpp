// SPDX-License-Identifier: Apache-2.0
#include "channels.h"

#include <pthread.h>

#include <algorithm>
#include <new>
#include <thread>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic::io {

namespace {

/// The channels that a thread has used last. Without a destructor, so that it can be asked at any
/// time of the thread's life.
struct ThreadChannels {
    struct Entry {
        uint64_t pool;
        Channel* channel;
    };
    std::array<Entry, 4> entries;
    uint32_t next;  // to be replaced
    bool gone;      // the thread is ending

    void remember(uint64_t pool, Channel* channel) {
        for (Entry& entry : entries) {
            if (entry.pool == pool) {
                entry.channel = channel;
                return;
            }
        }
        entries[next++ % entries.size()] = {pool, channel};
    }
};
thread_local constinit ThreadChannels thisThread{};

std::atomic<uint64_t> lastPool{0};

}  // namespace

constinit Mutex Channels::poolsMutex;
constinit Channels* Channels::firstPool = nullptr;

// A thread of the parent may have had the mutex; it is not there to give it back. The channels are
// the parent's: the child's only thread does not give them back when it ends.
void Channels::forgetAfterFork() noexcept {
    new (&poolsMutex) Mutex;
    firstPool = nullptr;
    thisThread.entries = {};
}

namespace {
[[maybe_unused]] const int forkHandled =
    pthread_atfork(nullptr, nullptr, Channels::forgetAfterFork);
}

/// Gives the thread's channels back when it ends.
struct ThreadEnd {
    ~ThreadEnd() {
        thisThread.gone = true;
        const MutexLock lock(Channels::poolsMutex);
        for (Channels* each = Channels::firstPool; each != nullptr; each = each->nextPool_) {
            each->release(&thisThread);
        }
    }
};

namespace {
void giveBackAtEnd() {
    thread_local ThreadEnd end;
    static_cast<void>(end);
}
}  // namespace

Channels::Channels(AioSyscalls& aio)
    : id_(lastPool.fetch_add(1, std::memory_order_relaxed) + 1), aio_(aio) {
    channels_[kCommon].store(new Channel(kCommon, false), std::memory_order_relaxed);
    channels_[kCommon].load()->owner = this;
    count_.store(1, std::memory_order_release);
    const MutexLock lock(poolsMutex);
    nextPool_ = std::exchange(firstPool, this);
}

Channels::~Channels() {
    {
        const MutexLock lock(poolsMutex);
        Channels** link = &firstPool;
        while (*link != this && *link != nullptr) link = &(*link)->nextPool_;
        if (*link != nullptr) *link = nextPool_;
    }
    closeAll();
    // Records go home before their memory does.
    forEach([](Channel& channel) { channel.memory().release(); });
    forEach([](Channel& channel) { delete &channel; });
}

// Side by side: io_destroy waits for an RCU grace period, some 25 ms (free_ioctx_users in
// fs/aio.c), and one does for all that wait at that time.
void Channels::closeAll() noexcept {
    const uint32_t count = count_.load(std::memory_order_acquire);
    std::atomic<uint32_t> next{0};
    const auto closeSome = [&] {
        for (uint32_t i = 0; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
            channels_[i].load(std::memory_order_relaxed)->close(aio_);
        }
    };
    std::array<std::thread, kMostClosers> closers;
    uint32_t open = 0;
    forEach([&open](const Channel& channel) { open += channel.isOpen(); });
    const uint32_t wanted = std::min(open, kMostClosers);
    try {
        for (uint32_t i = 1; i < wanted; ++i) {
            auto started = startThread("nvmeof-close", closeSome);
            if (!started.ok()) break;
            closers[i] = started.take();
        }
    } catch (const std::bad_alloc&) {
        // Those that there are, and this one, close them all.
    }
    closeSome();
    for (std::thread& closer : closers) {
        if (closer.joinable()) closer.join();
    }
}

Channel* Channels::mine() {
    for (const ThreadChannels::Entry& entry : thisThread.entries) {
        if (entry.pool == id_) return entry.channel;
    }
    if (thisThread.gone) return nullptr;
    Channel* channel = nullptr;
    {
        const MutexLock lock(mutex_);
        channel = find(&thisThread);
        if (channel == nullptr) channel = find(nullptr);
        if (channel == nullptr) channel = make(nullptr, false);
        if (channel != nullptr && channel->owner != &thisThread) channel->giveTo(&thisThread);
    }
    if (channel == nullptr) return nullptr;
    giveBackAtEnd();
    thisThread.remember(id_, channel);
    return channel;
}

Channel* Channels::add() {
    const MutexLock lock(mutex_);
    Channel* const channel = make(nullptr, true);
    // Nobody's, and not to be had, until bind().
    if (channel != nullptr) channel->owner = channel;
    return channel;
}

void Channels::bind(Channel* channel) {
    if (channel != nullptr) {
        const MutexLock lock(mutex_);
        channel->owner = &thisThread;
    }
    thisThread.remember(id_, channel);
}

Request* Channels::allocateCommon() {
    const MutexLock lock(mutex_);
    Request* const request = at(kCommon).memory().allocateRequest();
    if (request != nullptr) request->channel = kCommon;
    return request;
}

void Channels::trim() {
    const MutexLock lock(mutex_);
    forEach([](Channel& channel) {
        if (channel.owner == nullptr && !channel.hasOutstanding()) channel.memory().release();
    });
    at(kCommon).memory().trim();
}

Channel* Channels::find(const void* owner) const {
    Channel* found = nullptr;
    forEach([&](Channel& channel) {
        if (found == nullptr && channel.owner == owner) found = &channel;
    });
    return found;
}

Channel* Channels::make(const void* owner, bool workers) {
    const uint32_t number = count_.load(std::memory_order_relaxed);
    if (number == kMost) return nullptr;
    auto* const channel = new (std::nothrow) Channel(static_cast<uint16_t>(number), workers);
    if (channel == nullptr) return nullptr;
    channel->owner = owner;
    channels_[number].store(channel, std::memory_order_release);
    count_.store(number + 1, std::memory_order_release);
    return channel;
}

void Channels::release(const void* owner) {
    const MutexLock lock(mutex_);
    forEach([&](Channel& channel) {
        if (channel.owner != owner) return;
        channel.owner = nullptr;
    });
}

}  // namespace mooncake::nvmeof_generic::io
