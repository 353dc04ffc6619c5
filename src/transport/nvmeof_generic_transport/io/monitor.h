// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "conditions.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "worker.h"

namespace mooncake::nvmeof_generic::io {

/// Looks after the workers and the threads of the program one or two hundred times a second while
/// I/O is in flight, and sleeps when there is none.
///
/// It lets another worker take the place of one that is stuck in a system call, has more workers
/// take part when all that do have had no rest and use their processors to the full, and fewer when
/// those would do. It deals with I/O that has ended and nobody comes for.
class Monitor {
 public:
    struct Tuning {
        std::chrono::milliseconds tick{10};
        /// A round while threads of the program have I/O in flight that they may leave lying.
        std::chrono::milliseconds shortTick{5};
        uint32_t firstEntries;    ///< I/Os that the context of the first worker is to hold
        uint32_t furtherEntries;  ///< the same of the others
        uint32_t mostActive;      ///< common workers
    };

    Monitor(const Tuning& tuning, WorkerServices& services, Conditions& conditions)
        : tuning_(tuning), services_(services), conditions_(conditions) {}
    /// Ends the thread, then the workers. The Dispatcher must have been told to stop.
    ~Monitor();
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    /// Gets the first worker its context. @return as contextError()
    Result<> open();

    /// Starts the first worker and the thread of the monitor. @return as startThread()
    Result<> start();

 private:
    struct Entry {
        std::unique_ptr<Worker> worker;
        bool runs = false;
        // What the last round saw.
        uint64_t systemCalls = 0;
        int64_t cpuTime = 0;
    };
    using Lanes = std::vector<Entry>;

    Lanes& lane(Lane lane) { return lanes_[static_cast<size_t>(lane)]; }
    void run();
    void lookForStuck(Lane lane);
    bool bringIn(Lane lane, size_t index);
    Result<> make(Lane lane, uint32_t entries);
    void adjustActive();

    const Tuning tuning_;
    WorkerServices& services_;
    Conditions& conditions_;
    std::array<Lanes, kLanes> lanes_;
    Channel* spare_ = nullptr;  // of a worker that could not be made
    std::thread thread_;
    std::chrono::steady_clock::time_point lastRound_;
    uint32_t busyRounds_ = 0;  // in a row in which every active worker was busy throughout
    uint32_t windowRounds_ = 0;
    int64_t windowCpu_ = 0;  // nanoseconds that the active workers used in these rounds
    std::chrono::nanoseconds windowTime_{0};
};

}  // namespace mooncake::nvmeof_generic::io
