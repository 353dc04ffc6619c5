// SPDX-License-Identifier: Apache-2.0
// What clang has to accept and, with one of the DEFECT_... defined, to refuse
// (thread_safety_test.sh).
#include <chrono>
#include <condition_variable>
#include <deque>
#include <stop_token>

#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

using namespace mooncake::nvmeof_generic;

class Queue {
 public:
    void push(int value) {
        {
            const MutexLock lock(mutex_);
            values_.push_back(value);
        }
        filled_.notifyOne();
    }
    int pop() {
        const MutexLock lock(mutex_);
        while (values_.empty()) filled_.wait(mutex_);
        return takeFirst();
    }
    bool popUntil(std::chrono::steady_clock::time_point time) {
        const MutexLock lock(mutex_);
        while (values_.empty()) {
            if (!filled_.waitUntil(mutex_, time)) return false;
        }
        takeFirst();
        return true;
    }
    bool popUnlessStopped(const std::stop_token& stop) {
        const MutexLock lock(mutex_);
        return stopOrFilled_.wait(mutex_, stop, [this] {
            mutex_.assertHeld();
            return !values_.empty();
        });
    }
    void clearTwice() {
        const MutexLock lock(mutex_);
        values_.clear();
        letGo();
    }
    bool clearIfFree() {
        if (!mutex_.try_lock()) return false;
        values_.clear();
        mutex_.unlock();
        return true;
    }
    int limit() {
        const ReaderLock lock(limitMutex_);
        return limit_;
    }
    void setLimit(int limit) {
        const WriterLock lock(limitMutex_);
        limit_ = limit;
    }

#if defined(DEFECT_READ_WITHOUT_LOCK)
    bool defect() {
        return values_.empty();
    }
#elif defined(DEFECT_READER_WRITES)
    void defect() {
        const ReaderLock lock(limitMutex_);
        limit_ = 1;
    }
#elif defined(DEFECT_USE_WHILE_LET_GO)
    void defect() {
        const MutexLock lock(mutex_);
        const MutexUnlock unlock(mutex_);
        values_.clear();
    }
#elif defined(DEFECT_LET_GO_OF_NOTHING)
    void defect() {
        const MutexUnlock unlock(mutex_);
    }
#elif defined(DEFECT_LOCKS_AGAIN)
    void defect() {
        const MutexLock lock(mutex_);
        clear();
    }
#elif defined(DEFECT_WAIT_WITHOUT_LOCK)
    void defect() {
        filled_.wait(mutex_);
    }
#elif defined(DEFECT_CALL_WITHOUT_LOCK)
    int defect() {
        return takeFirst();
    }
#elif defined(DEFECT_STAYS_LOCKED)
    void defect() {
        mutex_.lock();
    }
#elif defined(DEFECT_LAMBDA)
    auto defect() {
        const MutexLock lock(mutex_);
        return [this] { return values_.empty(); };
    }
#elif defined(DEFECT_WRONG_ORDER)
    void defect() {
        const WriterLock last(limitMutex_);
        const MutexLock first(mutex_);
    }
#endif

 private:
    int takeFirst() MC_REQUIRES(mutex_) {
        const int value = values_.front();
        values_.pop_front();
        return value;
    }
    void letGo() MC_REQUIRES(mutex_) {
        {
            const MutexUnlock unlock(mutex_);
            clear();
        }
        values_.clear();
    }
    void clear() MC_EXCLUDES(mutex_) {
        const MutexLock lock(mutex_);
        values_.clear();
    }

    SharedMutex limitMutex_;
    Mutex mutex_ MC_ACQUIRED_BEFORE(limitMutex_);
    CondVar filled_;
    std::condition_variable_any stopOrFilled_;
    std::deque<int> values_ MC_GUARDED_BY(mutex_);
    int limit_ MC_GUARDED_BY(limitMutex_) = 0;
};
