// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// A thread for work that the kernel may hold for ever. It is there before there is any work, so
/// that what must be done later is never refused for want of a thread. Used by one thread at a
/// time.
class BoundedThread {
 public:
    /// @return as startThread()
    static Result<std::unique_ptr<BoundedThread>> start(const std::string& name);

    /// Where work has not ended it goes on, and this library stays loaded.
    ~BoundedThread();
    BoundedThread(const BoundedThread&) = delete;
    BoundedThread& operator=(const BoundedThread&) = delete;

    /// Has the thread do the work. Only when none is under way.
    /// @param work  owns what it uses; destroyed when it has ended
    void run(std::function<void()> work);

    /// Waits for the end of the work. May be repeated.
    /// @return false when it had not ended within the limit
    bool endsWithin(std::chrono::milliseconds limit);

 private:
    struct State;

    BoundedThread(std::shared_ptr<State> state, std::thread thread);

    const std::shared_ptr<State> state_;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
