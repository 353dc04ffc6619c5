// SPDX-License-Identifier: Apache-2.0
// The threads of the server: one for each connection that there is.
#pragma once

#include <httplib.h>

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>

namespace mooncake {

// No connection waits for another to end, as it would behind a few threads that slow clients hold.
// Whoever hands over one too many waits, which here is the thread that accepts them: the kernel's
// own queue for the port fills up then, and no descriptor is spent on who cannot be served.
class ConnectionThreads : public httplib::TaskQueue {
 public:
    explicit ConnectionThreads(size_t most) : most_(most) {}
    ~ConnectionThreads() override { shutdown(); }

    // Never throws: without a thread the connection is served by the one that accepts.
    void enqueue(std::function<void()> serve) override;
    // Waits for all of them to end.
    void shutdown() override;

 private:
    const size_t most_;
    std::mutex mutex_;
    std::condition_variable left_;
    size_t running_ = 0;
};

}  // namespace mooncake
