// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "caller_memory.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

class Device;

/// What one device holds of a BouncePool, and whether it waits for more. Guarded by the pool.
struct BounceAccount {
    Device* device = nullptr;
    size_t used = 0;
    bool waiting = false;
    BounceAccount* next = nullptr;
};

/// A fixed amount of aligned memory, in chunks of equal size, shared by all devices.
///
/// No device can use it up: one may hold as much as is left free (a dynamic threshold, as switches
/// use it for packet buffers). With n devices that keep all they can get, 1/(n+1) stays free for
/// another one, so a device that hangs with its bounce buffers in the kernel does not stop the
/// rest.
///
/// Thread-safe. Its mutex is a leaf: nothing else is locked under it.
class BouncePool {
 public:
    static constexpr uint32_t kChunkBytes = 64 << 10;  // at least the largest logical block

    /// Reserves address space; memory is used as chunks are.
    /// @param bytes  bound of the memory, at least kChunkBytes
    /// @return ENOMEM when the address space is not to be had; open(2)'s error for /dev/zero
    static Result<std::unique_ptr<BouncePool>> create(size_t bytes);
    ~BouncePool();
    BouncePool(const BouncePool&) = delete;
    BouncePool& operator=(const BouncePool&) = delete;

    /// Takes `count` chunks or none. Without them the account waits until chunks are given back.
    /// @param chunks  where their numbers go
    /// @return whether the account got them
    bool acquire(BounceAccount& account, uint32_t count, uint32_t* chunks);

    /// The same, but the account does not wait: there is none also while others wait.
    bool tryAcquire(BounceAccount& account, uint32_t count, uint32_t* chunks);

    /// Gives chunks back.
    /// @return the accounts that waited, the longest first, chained by `next`: they wait no longer
    /// and
    ///     must be told to try again
    [[nodiscard]] BounceAccount* release(BounceAccount& account, uint32_t count,
                                         const uint32_t* chunks);

    /// Lets an account wait no longer. @return false when it did not wait: a release() has just
    /// returned it, or it never did
    bool forget(BounceAccount& account);

    /// The memory of a chunk: kChunkBytes, aligned to kChunkBytes.
    char* memory(uint32_t chunk) const { return base_ + static_cast<size_t>(chunk) * kChunkBytes; }

    /// What is known of the memory on the other side of the copies.
    const CallerMemory& callerMemory() const { return callerMemory_; }

    size_t chunks() const { return total_; }
    size_t freeChunks() const;

 private:
    BouncePool(void* mapping, size_t mappedBytes, size_t total);

    void* const mapping_;
    const size_t mappedBytes_;
    char* const base_;
    const size_t total_;
    const CallerMemory callerMemory_;
    bool take(BounceAccount& account, uint32_t count, uint32_t* chunks) MC_REQUIRES(mutex_);

    mutable Mutex mutex_;
    // Last out first in: the memory that is still in the cache.
    std::vector<uint32_t> free_ MC_GUARDED_BY(mutex_);
    BounceAccount* waiting_ MC_GUARDED_BY(mutex_) = nullptr;
    BounceAccount** waitingEnd_ MC_GUARDED_BY(mutex_) = &waiting_;
};

}  // namespace mooncake::nvmeof_generic::io
