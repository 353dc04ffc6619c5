// SPDX-License-Identifier: Apache-2.0
// A run: all threads from start to result.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/failure.h"
#include "bench/figures.h"
#include "bench/options.h"
#include "bench/path_traffic.h"
#include "bench/worker.h"
#include "bench/workload_spec.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::bench {

struct RunResult {
    RunShape shape;
    uint64_t completedBytes = 0;  ///< of COMPLETED requests, without those of the verification
    uint64_t batches = 0;         ///< of which every request COMPLETED
    double seconds = 0;           ///< from the first thread's start to the last one's end
    Figures figures;              ///< of all threads
    CpuTime cpu;                  ///< of the whole process in that time
    std::optional<SubmitStats> submits;  ///< of the transport in that time, if it counts
    /// To the segment, if it goes over any; with what else the run did: ramp, verification.
    std::vector<PathTraffic> paths;
    uint64_t failed = 0;                ///< requests and batches that did not complete
    std::vector<std::string> failures;  ///< the first of them
    bool verified = false;              ///< with verification: it went through to its end
    VerifyTally tally;
    uint64_t mismatches = 0;
    std::vector<std::string> mismatchLines;  ///< the first of them
    bool stuck = false;  ///< a request never ended: the engine may not be able to shut down either
};

/// Verifying reads what the run wrote, after the measured time.
enum class Phase { kTransfer, kReadBack };

class Workload {
 public:
    /// Called on the caller's thread at the start of each phase; returns once `doneFd` (an eventfd)
    /// is readable. May show progress and ask for a stop meanwhile.
    using Watch = std::function<void(Workload&, Phase, int doneFd)>;

    /// Allocates everything and reads one block of each file.
    /// @param api  must outlive the workload
    /// @param spec  files and flags that fit each other (checkFileSize)
    /// @return kUsage (buffers larger than the memory), kIoError (a file that cannot be read)
    static MaybeFailure create(TransferApi& api, const WorkloadSpec& spec,
                               std::unique_ptr<Workload>& workload);

    /// Runs once. Ends when the time is over, a request failed or a stop was asked for.
    RunResult run(const Watch& watch);

    /// No further batches; those under way are waited for. Any thread.
    void requestStop() { shared_.stop.store(true, std::memory_order_relaxed); }

    /// Progress of the measured phase. Any thread.
    uint64_t completedBytes() const;

 private:
    explicit Workload(const WorkloadSpec& spec) : spec_(spec) {}
    void runPhase(Phase phase, const Watch& watch);
    RunResult result() const;

    const WorkloadSpec spec_;
    RunShared shared_;
    std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace mooncake::bench
