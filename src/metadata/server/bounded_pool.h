// SPDX-License-Identifier: Apache-2.0
// The threads of the server, and how many connections may wait for one.
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>

namespace mooncake {

// Whoever hands over one connection too many waits, which here is the thread that accepts them: the
// kernel's own queue for the port fills up then, and no descriptor is spent on who cannot be
// served.
class BoundedPool : public httplib::TaskQueue {
 public:
    // `most` counts connections that are served and that wait.
    BoundedPool(size_t threads, size_t most) : pool_(threads), most_(most) {}

    void enqueue(std::function<void()> serve) override {
        {
            std::unique_lock lock(mutex_);
            left_.wait(lock, [this] { return held_ < most_; });
            ++held_;
        }
        pool_.enqueue([this, serve = std::move(serve)] {
            serve();
            std::lock_guard lock(mutex_);
            --held_;
            left_.notify_one();
        });
    }
    void shutdown() override { pool_.shutdown(); }

 private:
    httplib::ThreadPool pool_;
    const size_t most_;
    std::mutex mutex_;
    std::condition_variable left_;
    size_t held_ = 0;
};

}  // namespace mooncake
