// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {

/// A thread that does one thing when it is time for it, and sleeps until then, without limit when
/// nothing is due: ending requests whose time is up while their segment's own thread is held up;
/// and another one, writing the counters, which may take long.
class Housekeeper {
 public:
    using Clock = std::chrono::steady_clock;
    /// Does what is due. @return when it wants to be called next; time_point::max(): when asked
    using Work = std::function<Clock::time_point(Clock::time_point now)>;

    explicit Housekeeper(Work work) : work_(std::move(work)) {}
    ~Housekeeper() {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
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
            std::lock_guard lock(mutex_);
            if (when >= next_) return;
            next_ = when;
        }
        wake_.notify_one();
    }

 private:
    void run() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            const auto now = Clock::now();
            if (next_ > now) {
                if (next_ == Clock::time_point::max()) {
                    wake_.wait(lock);
                } else {
                    wake_.wait_until(lock, next_);
                }
                continue;
            }
            next_ = Clock::time_point::max();
            lock.unlock();
            const auto wanted = work_(now);
            lock.lock();
            next_ = std::min(next_, wanted);
        }
    }

    const Work work_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    Clock::time_point next_ = Clock::time_point::max();
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
