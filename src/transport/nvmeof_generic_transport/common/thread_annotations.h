// SPDX-License-Identifier: Apache-2.0
// Which mutex guards what, in a form that clang checks (scripts/lint.sh). Other compilers see
// plain standard mutexes. The standard library's own types carry no annotations, so a class whose
// rules are to be checked uses the types below:
//
//   class Queue {
//    public:
//       void push(int value) {
//           {
//               const MutexLock lock(mutex_);
//               values_.push_back(value);
//           }
//           filled_.notifyOne();
//       }
//       int pop() {
//           const MutexLock lock(mutex_);
//           while (values_.empty()) filled_.wait(mutex_);
//           return takeFirst();
//       }
//
//    private:
//       int takeFirst() MC_REQUIRES(mutex_);
//
//       Mutex mutex_;
//       CondVar filled_;
//       std::deque<int> values_ MC_GUARDED_BY(mutex_);
//   };
//
// A condition is tested in a loop and not in a lambda: clang checks a lambda as a function of its
// own, which holds nothing. https://clang.llvm.org/docs/ThreadSafetyAnalysis.html
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define MC_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define MC_THREAD_ANNOTATION(x)
#endif

/// On a member: it is read and written only while the mutex is held.
#define MC_GUARDED_BY(mutex) MC_THREAD_ANNOTATION(guarded_by(mutex))
/// On a pointer: what it points to is.
#define MC_PT_GUARDED_BY(mutex) MC_THREAD_ANNOTATION(pt_guarded_by(mutex))
/// On a function: the caller holds the mutex, alone or (shared) with other readers.
#define MC_REQUIRES(...) MC_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define MC_REQUIRES_SHARED(...) MC_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
/// On a function: the caller does not hold the mutex, since the function takes it itself.
#define MC_EXCLUDES(...) MC_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
/// On a mutex: the order in which several are taken. Clang checks it with -Wthread-safety-beta.
#define MC_ACQUIRED_BEFORE(...) MC_THREAD_ANNOTATION(acquired_before(__VA_ARGS__))
/// On a function whose rule cannot be said with the others; a comment gives it.
#define MC_NO_THREAD_SAFETY_ANALYSIS MC_THREAD_ANNOTATION(no_thread_safety_analysis)

// For types that lock, such as those below.
#define MC_CAPABILITY(kind) MC_THREAD_ANNOTATION(capability(kind))
#define MC_SCOPED_CAPABILITY MC_THREAD_ANNOTATION(scoped_lockable)
#define MC_ACQUIRE(...) MC_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define MC_ACQUIRE_SHARED(...) MC_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define MC_TRY_ACQUIRE(...) MC_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define MC_RELEASE(...) MC_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define MC_RELEASE_SHARED(...) MC_THREAD_ANNOTATION(release_shared_capability(__VA_ARGS__))
#define MC_RELEASE_GENERIC(...) MC_THREAD_ANNOTATION(release_generic_capability(__VA_ARGS__))
#define MC_ASSERT_CAPABILITY(mutex) MC_THREAD_ANNOTATION(assert_capability(mutex))

namespace mooncake::nvmeof_generic {

/// std::mutex, annotated. Is a Lockable too: std::condition_variable_any waits with it where a
/// std::stop_token has to end the wait.
class MC_CAPABILITY("mutex") Mutex {
 public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;

    void lock() MC_ACQUIRE() { mutex_.lock(); }
    bool try_lock() MC_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
    void unlock() MC_RELEASE() { mutex_.unlock(); }

    /// Tells the analysis, and checks nothing: this thread holds the mutex. For the body of a
    /// lambda that runs under it.
    void assertHeld() const MC_ASSERT_CAPABILITY(this) {}

 private:
    friend class CondVar;
    std::mutex mutex_;
};

/// std::shared_mutex, annotated.
class MC_CAPABILITY("shared mutex") SharedMutex {
 public:
    SharedMutex() = default;
    SharedMutex(const SharedMutex&) = delete;
    SharedMutex& operator=(const SharedMutex&) = delete;

    void lock() MC_ACQUIRE() { mutex_.lock(); }
    void unlock() MC_RELEASE() { mutex_.unlock(); }
    void lock_shared() MC_ACQUIRE_SHARED() { mutex_.lock_shared(); }
    void unlock_shared() MC_RELEASE_SHARED() { mutex_.unlock_shared(); }

 private:
    std::shared_mutex mutex_;
};

/// Holds a mutex while it exists.
class MC_SCOPED_CAPABILITY MutexLock {
 public:
    explicit MutexLock(Mutex& mutex) MC_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() MC_RELEASE() { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

 private:
    Mutex& mutex_;
};

/// Lets go of a mutex that is held, for as long as this exists: for a system call in the middle of
/// a function that holds the mutex, its caller's lock included.
class MC_SCOPED_CAPABILITY MutexUnlock {
 public:
    explicit MutexUnlock(Mutex& mutex) MC_RELEASE(mutex) : mutex_(mutex) { mutex_.unlock(); }
    ~MutexUnlock() MC_RELEASE() { mutex_.lock(); }
    MutexUnlock(const MutexUnlock&) = delete;
    MutexUnlock& operator=(const MutexUnlock&) = delete;

 private:
    Mutex& mutex_;
};

/// Holds a shared mutex with other readers while it exists.
class MC_SCOPED_CAPABILITY ReaderLock {
 public:
    explicit ReaderLock(SharedMutex& mutex) MC_ACQUIRE_SHARED(mutex) : mutex_(mutex) {
        mutex_.lock_shared();
    }
    ~ReaderLock() MC_RELEASE_GENERIC() { mutex_.unlock_shared(); }
    ReaderLock(const ReaderLock&) = delete;
    ReaderLock& operator=(const ReaderLock&) = delete;

 private:
    SharedMutex& mutex_;
};

/// Holds a shared mutex alone while it exists.
class MC_SCOPED_CAPABILITY WriterLock {
 public:
    explicit WriterLock(SharedMutex& mutex) MC_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
    ~WriterLock() MC_RELEASE() { mutex_.unlock(); }
    WriterLock(const WriterLock&) = delete;
    WriterLock& operator=(const WriterLock&) = delete;

 private:
    SharedMutex& mutex_;
};

/// std::condition_variable for a Mutex. Waiting lets go of the mutex and holds it again when it
/// returns, which may be without anybody having notified: test the condition in a loop.
class CondVar {
 public:
    CondVar() = default;
    CondVar(const CondVar&) = delete;
    CondVar& operator=(const CondVar&) = delete;

    void wait(Mutex& mutex) MC_REQUIRES(mutex) {
        std::unique_lock lock(mutex.mutex_, std::adopt_lock);
        condition_.wait(lock);
        lock.release();
    }
    /// @return false when the time has come, whether or not the condition holds by then
    template <class Clock, class Duration>
    bool waitUntil(Mutex& mutex, const std::chrono::time_point<Clock, Duration>& time)
        MC_REQUIRES(mutex) {
        std::unique_lock lock(mutex.mutex_, std::adopt_lock);
        const std::cv_status status = condition_.wait_until(lock, time);
        lock.release();
        return status == std::cv_status::no_timeout;
    }

    void notifyOne() { condition_.notify_one(); }
    void notifyAll() { condition_.notify_all(); }

 private:
    std::condition_variable condition_;
};

}  // namespace mooncake::nvmeof_generic
