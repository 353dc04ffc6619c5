// SPDX-License-Identifier: Apache-2.0
#include "connection_threads.h"

#include <system_error>
#include <thread>

namespace mooncake {

void ConnectionThreads::enqueue(std::function<void()> serve) {
    {
        std::unique_lock lock(mutex_);
        left_.wait(lock, [this] { return running_ < most_; });
        ++running_;
    }
    const auto run = [this, serve = std::move(serve)] {
        serve();
        std::lock_guard lock(mutex_);
        --running_;
        left_.notify_all();  // with the lock held: the object may go as soon as it is released
    };
    try {
        std::thread(run).detach();
    } catch (const std::system_error&) {
        run();
    }
}

void ConnectionThreads::shutdown() {
    std::unique_lock lock(mutex_);
    left_.wait(lock, [this] { return running_ == 0; });
}

}  // namespace mooncake
