// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <new>
#include <thread>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"
#include "transport/nvmeof_generic_transport/common/thread_annotations.h"

namespace mooncake::nvmeof_generic {

/// A thread that does one thing when it is time for it, and sleeps until then, without limit when
/// nothing is due: ending requests whose time is up while their segment's own thread is held up;
/// and another one, writing the counters, which may take long.
class Housekeeper {
 public:
    using Clock = std::chrono::steady_clock;
    /// Does what is due. @return when it wants to be called next; time_point::max(): when asked.
    /// Where it throws std::bad_alloc it is called again a little later.
    using Work = std::function<Clock::time_point(Clock::time_point now)>;

    explicit Housekeeper(Work work) : work_(std::move(work)) {}
    ~Housekeeper() {
        {
            const MutexLock lock(mutex_);
            stopping_ = true;
        }
        wake_.notifyOne();
        if (thread_.joinable()) thread_.join();
    }
    Housekeeper(const Housekeeper&) = delete;
    Housekeeper& operator=(const Housekeeper&) = delete;

    /// Once. @return as startThread()
    Result<> start() {
        auto started = startThread("nvmeof-house", [this] { run(); });
        if (!started.ok()) return started.error();
        thread_ = started.take();
        return {};
    }

    /// Asks for a call at `when` or before. Thread-safe; wakes nobody unless that is earlier than
    /// what is planned.
    void callAt(Clock::time_point when) {
        {
            const MutexLock lock(mutex_);
            if (when >= next_) return;
            next_ = when;
        }
        wake_.notifyOne();
    }

 private:
    static constexpr std::chrono::milliseconds kWithoutMemory{20};

    void run() {
        const MutexLock lock(mutex_);
        while (!stopping_) {
            const auto now = Clock::now();
            if (next_ > now) {
                if (next_ == Clock::time_point::max()) {
                    wake_.wait(mutex_);
                } else {
                    wake_.waitUntil(mutex_, next_);
                }
                continue;
            }
            next_ = Clock::time_point::max();
            const auto wanted = doWork(now);
            next_ = std::min(next_, wanted);
        }
    }

    Clock::time_point doWork(Clock::time_point now) MC_REQUIRES(mutex_) {
        const MutexUnlock unlock(mutex_);
        try {
            return work_(now);
        } catch (const std::bad_alloc&) {
            return now + kWithoutMemory;
        }
    }

    const Work work_;
    Mutex mutex_;
    CondVar wake_;
    bool stopping_ MC_GUARDED_BY(mutex_) = false;
    Clock::time_point next_ MC_GUARDED_BY(mutex_) = Clock::time_point::max();
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
