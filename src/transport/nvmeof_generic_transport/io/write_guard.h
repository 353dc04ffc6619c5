// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "operation.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic::io {

/// Keeps the writes of one namespace from losing each other's bytes. A write of a part of a block
/// reads the block, merges and writes it back; no other write of that block may be in flight
/// meanwhile.
///
/// All openings of a namespace in this process must share one: a completed write is lost otherwise.
/// Writes of other processes and hosts are out of its sight: NVMe has no smaller unit than the
/// block, and no lock.
///
/// Thread-safe. Its mutex is a leaf.
class WriteGuard {
 public:
    /// Who waits until a write that is in the way has ended. Guarded by the WriteGuard.
    class Waiter {
     public:
        /// A write has ended: begin() again. Called without the guard's lock.
        virtual void writeEnded() noexcept = 0;

        virtual ~Waiter() = default;

     private:
        friend class WriteGuard;
        Waiter* next_ = nullptr;
        bool waiting_ = false;
    };

    WriteGuard() = default;
    WriteGuard(const WriteGuard&) = delete;
    WriteGuard& operator=(const WriteGuard&) = delete;

    /// Takes a write in, unless one that is in flight is in the way.
    /// @param waiter  told when it may be worth another try; null: nobody
    /// @return whether it was taken in
    bool begin(Operation& write, Waiter* waiter);

    /// Takes a write out that begin() took in, and tells who waits.
    void end(Operation& write);

    /// The waiter is not to be told any more. @return false when it was not waiting: it has been
    /// told, or is just being told
    bool forget(Waiter& waiter);

 private:
    bool isInTheWay(const Operation& write) const MC_REQUIRES(mutex_);

    Mutex mutex_;
    Operation* writes_ MC_GUARDED_BY(mutex_) = nullptr;  // in flight
    uint32_t merges_ MC_GUARDED_BY(mutex_) = 0;          // of them
    Waiter* waiters_ MC_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace mooncake::nvmeof_generic::io
