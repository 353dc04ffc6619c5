// SPDX-License-Identifier: Apache-2.0
// For what calls the directory one after the other: whoever waits gives up at the deadline of its
// own call.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

#include "directory_types.h"

namespace mooncake::store {

// Thread rule: any thread.
class DeadlineMutex {
 public:
    // True where it was given; given back with its end.
    class Lock {
     public:
        explicit Lock(DeadlineMutex* mutex) : mutex_(mutex) {}
        Lock(Lock&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
        Lock& operator=(Lock&&) = delete;
        ~Lock() {
            if (mutex_ != nullptr) mutex_->unlock();
        }
        explicit operator bool() const { return mutex_ != nullptr; }

     private:
        DeadlineMutex* mutex_;
    };

    Lock lock(Deadline deadline) {
        std::unique_lock lock(mutex_);
        if (!freed_.wait_until(lock, deadline, [&] { return !is_taken_; })) return Lock(nullptr);
        is_taken_ = true;
        return Lock(this);
    }
    Lock tryLock() { return lock(Deadline::clock::now()); }

 private:
    void unlock() {
        const std::lock_guard lock(mutex_);
        is_taken_ = false;
        freed_.notify_one();
    }

    std::mutex mutex_;
    std::condition_variable freed_;
    bool is_taken_ = false;
};

}  // namespace mooncake::store
