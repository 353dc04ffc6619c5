// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "transport/nvmeof_generic_transport/common/thread.h"
#include "worker.h"

namespace mooncake::nvmeof_generic::io {

/// The threads that run workers. One that a worker has no more use for sleeps until the next needs
/// one, so there are at most as many as workers have run, and threads have been stuck, at one time.
/// Used by one thread.
class Crew {
 public:
    Crew() = default;
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;
    /// Waits for the threads; their workers must have been told to stop.
    ~Crew();

    /// Sees to it that there is a thread for the next man(). @return as startThread()
    Result<> ensureSpare();

    /// Has a thread run the worker. Only after ensureSpare().
    void man(Worker& worker);

    size_t size() const { return threads_.size(); }

 private:
    void serve();

    std::mutex mutex_;
    std::condition_variable changed_;
    size_t spare_ = 0;  // threads without a worker, less those that have been promised one
    std::vector<Worker*> unmanned_;
    bool leaving_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace mooncake::nvmeof_generic::io
