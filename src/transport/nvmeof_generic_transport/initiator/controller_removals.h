// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace mooncake::nvmeof_generic {

/// Controllers that are being deleted. With many namespaces that takes the kernel long (some 40 ms
/// each, seen on 6.12), and nobody who wants another target needs to wait for it. Thread-safe.
class ControllerRemovals {
 public:
    ControllerRemovals() = default;
    /// Waits for all.
    ~ControllerRemovals();
    ControllerRemovals(const ControllerRemovals&) = delete;
    ControllerRemovals& operator=(const ControllerRemovals&) = delete;

    /// Runs `work` on a thread of its own; where there is none to be had, or no memory for it,
    /// here. Never throws.
    /// @param subsystemNqn  whose controller it deletes
    /// @param work  owns what it uses; can be begun anew, as withMemory() does
    void start(const std::string& subsystemNqn, const std::function<void()>& work);
    /// @return false when a controller of this subsystem is still being deleted after `limit`
    bool endWithin(std::chrono::milliseconds limit, const std::string& subsystemNqn);

 private:
    struct Removal {
        std::string subsystemNqn;
        bool ended = false;  // guarded by mutex_
        std::thread thread;
    };

    bool startThreadFor(const std::string& subsystemNqn, const std::function<void()>& work);
    void dropEnded();

    std::mutex mutex_;
    std::condition_variable ended_;
    std::list<Removal> removals_;  // guarded by mutex_; their threads are joined by who takes them
};

}  // namespace mooncake::nvmeof_generic
