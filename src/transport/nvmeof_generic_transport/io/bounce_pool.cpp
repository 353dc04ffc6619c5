// SPDX-License-Identifier: Apache-2.0
#include "bounce_pool.h"

#include <sys/mman.h>

#include <cerrno>
#include <string>

namespace mooncake::nvmeof_generic::io {
namespace {

char* alignedBase(void* mapping) {
    const auto address = reinterpret_cast<uintptr_t>(mapping);
    const uintptr_t mask = BouncePool::kChunkBytes - 1;
    return static_cast<char*>(mapping) + (((address + mask) & ~mask) - address);
}

}  // namespace

Result<std::unique_ptr<BouncePool>> BouncePool::create(size_t bytes) {
    const size_t total = bytes / kChunkBytes;
    const size_t mappedBytes = (total + 1) * kChunkBytes;
    void* mapping = mmap(nullptr, mappedBytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        return makeError(errno, "reserving " + std::to_string(bytes) + " bytes for bounce buffers",
                         "configure fewer");
    }
    // Small pages only: they may be sent in any pieces (IoDeviceSpec::copyWrites).
    madvise(mapping, mappedBytes, MADV_NOHUGEPAGE);
    std::unique_ptr<BouncePool> pool(new BouncePool(mapping, mappedBytes, total));
    if (!pool->callerMemory().valid()) {
        return makeError(errno, "cannot open /dev/zero", "each /dev should have it");
    }
    return pool;
}

BouncePool::BouncePool(void* mapping, size_t mappedBytes, size_t total)
    : mapping_(mapping), mappedBytes_(mappedBytes), base_(alignedBase(mapping)), total_(total) {
    free_.reserve(total);
    for (size_t chunk = total; chunk-- > 0;) free_.push_back(static_cast<uint32_t>(chunk));
}

BouncePool::~BouncePool() {
    munmap(mapping_, mappedBytes_);
}

bool BouncePool::acquire(BounceAccount& account, uint32_t count, uint32_t* chunks) {
    const MutexLock lock(mutex_);
    if (take(account, count, chunks)) return true;
    if (!account.waiting) {
        account.waiting = true;
        account.next = nullptr;
        *waitingEnd_ = &account;
        waitingEnd_ = &account.next;
    }
    return false;
}

bool BouncePool::tryAcquire(BounceAccount& account, uint32_t count, uint32_t* chunks) {
    const MutexLock lock(mutex_);
    return waiting_ == nullptr && take(account, count, chunks);
}

bool BouncePool::take(BounceAccount& account, uint32_t count, uint32_t* chunks) {
    if (free_.size() < count + account.used) return false;
    for (uint32_t i = 0; i < count; ++i) {
        chunks[i] = free_.back();
        free_.pop_back();
    }
    account.used += count;
    return true;
}

BounceAccount* BouncePool::release(BounceAccount& account, uint32_t count, const uint32_t* chunks) {
    const MutexLock lock(mutex_);
    free_.insert(free_.end(), chunks, chunks + count);
    account.used -= count;
    BounceAccount* all = waiting_;
    waiting_ = nullptr;
    waitingEnd_ = &waiting_;
    for (BounceAccount* each = all; each != nullptr; each = each->next) each->waiting = false;
    return all;
}

bool BouncePool::forget(BounceAccount& account) {
    const MutexLock lock(mutex_);
    if (!account.waiting) return false;
    BounceAccount** link = &waiting_;
    while (*link != &account) link = &(*link)->next;
    *link = account.next;
    if (*link == nullptr) waitingEnd_ = link;
    account.waiting = false;
    return true;
}

size_t BouncePool::freeChunks() const {
    const MutexLock lock(mutex_);
    return free_.size();
}

}  // namespace mooncake::nvmeof_generic::io
