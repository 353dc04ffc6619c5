// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <thread>

namespace mooncake::nvmeof_generic {

/// Work that the kernel may hold for ever, on a thread of its own.
class BoundedCall {
 public:
    /// @param work  owns what it uses; destroyed when it has ended
    explicit BoundedCall(std::function<void()> work);
    /// Where the work has not ended it goes on, and this library stays loaded.
    ~BoundedCall();
    BoundedCall(const BoundedCall&) = delete;
    BoundedCall& operator=(const BoundedCall&) = delete;

    /// Waits for its end. May be repeated. @return false when it had not ended within the limit
    bool endsWithin(std::chrono::milliseconds limit);

 private:
    std::future<void> end_;
    std::thread thread_;
};

/// Runs `work` as a BoundedCall. @return false when it had not ended within the limit: it goes on
bool endsWithin(std::chrono::milliseconds limit, std::function<void()> work);

}  // namespace mooncake::nvmeof_generic
