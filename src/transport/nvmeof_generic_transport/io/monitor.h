// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "conditions.h"
#include "crew.h"
#include "device_registry.h"
#include "dispatcher.h"
#include "worker.h"

namespace mooncake::nvmeof_generic::io {

/// Looks after the workers a hundred times a second while they work, less often while the program's
/// threads do it all, and sleeps when nobody does anything.
///
/// It gives a worker another thread when its own is stuck in a system call, has more workers take
/// part when all that do have had no rest and use their processors to the full, and fewer when
/// those would do. It deals with the callers' I/O that has ended and nobody has come for.
class Monitor {
 public:
    struct Tuning {
        std::chrono::milliseconds tick{10};
        uint32_t firstEntries;    ///< I/Os that the context of the first worker is to hold
        uint32_t furtherEntries;  ///< the same of the others
        uint32_t mostActive;      ///< common workers
    };

    /// @param workers  the common ones, then the one of Lane::kApart; the first is open
    Monitor(const Tuning& tuning, WorkerWorld& world, std::vector<std::unique_ptr<Worker>>& workers,
            Crew& crew);
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// Starts the first worker and the thread of the monitor. @return as startThread()
    Result<> start();

    /// Ends the thread. The Dispatcher must have been told to stop.
    void join();

 private:
    /// What the last round saw of a worker.
    struct Seen {
        bool manned = false;
        uint64_t progress = 0;
        int64_t cpuTime = 0;
    };

    void run();
    void lookForStuck();
    bool bringIn(size_t index);
    void adjustActive();
    void trimDevices();

    const Tuning tuning_;
    WorkerWorld& world_;
    std::vector<std::unique_ptr<Worker>>& workers_;
    Crew& crew_;
    std::thread thread_;
    std::vector<Seen> seen_;
    std::chrono::steady_clock::time_point lastRound_;
    uint32_t busyRounds_ = 0;  // in a row in which every active worker was busy throughout
    uint32_t windowRounds_ = 0;
    int64_t windowCpu_ = 0;  // nanoseconds that the active workers used in these rounds
    std::chrono::nanoseconds windowTime_{0};
};

}  // namespace mooncake::nvmeof_generic::io
