// SPDX-License-Identifier: Apache-2.0
#include "wait.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace mooncake::nvmeof_generic {

Poll::Poll(Clock::time_point deadline, std::stop_token stop)
    : deadline_(deadline), stop_(std::move(stop)) {}

bool Poll::wait() {
    constexpr std::chrono::milliseconds kLongest{50};
    const auto now = Clock::now();
    if (now >= deadline_) return false;
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_until(lock, stop_, std::min<Clock::time_point>(now + pause_, deadline_),
                     [] { return false; });
    pause_ = std::min(2 * pause_, kLongest);
    return !stop_.stop_requested();
}

}  // namespace mooncake::nvmeof_generic
