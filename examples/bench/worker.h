// SPDX-License-Identifier: Apache-2.0
// One thread's share of a workload: its blocks, its buffers, its batches.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/batch_runner.h"
#include "bench/block_pattern.h"
#include "bench/block_sequence.h"
#include "bench/buffer_area.h"
#include "bench/figures.h"
#include "bench/run_log.h"
#include "bench/workload_spec.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::bench {

/// What the workers of a run have in common.
struct RunShared {
    std::atomic<bool> stop{false};  ///< no further batch: failure, or asked for
    RunLog failures;                ///< requests and batches that did not complete
    RunLog mismatches;              ///< blocks that are not what was written
};

/// Blocks of kPatternBlock bytes, as the checks found them.
struct VerifyTally {
    uint64_t good = 0;
    uint64_t zero = 0;     ///< never written; a mismatch when the run itself wrote them
    uint64_t foreign = 0;  ///< without pattern
    uint64_t wrong = 0;    ///< everything else

    VerifyTally& operator+=(const VerifyTally& other) {
        good += other.good;
        zero += other.zero;
        foreign += other.foreign;
        wrong += other.wrong;
        return *this;
    }
};

/// Used by one thread at a time, except completedBytes().
class Worker {
 public:
    using Clock = std::chrono::steady_clock;

    /// @param spec, shared, api  must outlive the worker
    /// @param thread  0 to spec.threads - 1; at least one block must fall to it
    /// @return ExitCode::kIoError when there is no memory for its buffers
    static MaybeFailure create(TransferApi& api, const WorkloadSpec& spec, uint64_t thread,
                               RunShared& shared, std::unique_ptr<Worker>& worker);

    /// Bytes of memory that create() will need for thread 0, whose share is the largest.
    static uint64_t memoryBytes(const WorkloadSpec& spec);

    /// Reads the first block of a file, so that a connection that cannot be made is found out
    /// before the clock runs. @return ExitCode::kIoError
    MaybeFailure probe(const WorkFile& file);

    /// Runs batches until the time of the spec is over or the run stops.
    void transfer();

    /// Reads back everything transfer() wrote and checks it. Goes on after a mismatch, so that all
    /// of them are counted; ends early when the run stops.
    void readBack();

    Clock::time_point begun() const { return begun_; }  ///< measured time; zero: it never did
    Clock::time_point ended() const { return ended_; }
    CpuTime cpuAtBegin() const { return cpuAtBegin_; }  ///< of the process, in that time
    CpuTime cpuAtEnd() const { return cpuAtEnd_; }
    /// Of the transport, in that time; nothing where it does not count.
    const std::optional<SubmitStats>& submitsAtBegin() const { return submitsAtBegin_; }
    const std::optional<SubmitStats>& submitsAtEnd() const { return submitsAtEnd_; }
    uint64_t batches() const { return batches_; }        ///< completed in the measured time
    const Figures& figures() const { return figures_; }  ///< of the measured time
    const VerifyTally& tally() const { return tally_; }
    bool stuck() const { return stuck_; }  ///< a request has not ended; its memory stays

    /// Of COMPLETED requests in the measured time. Any thread.
    uint64_t completedBytes() const { return completedBytes_.load(std::memory_order_relaxed); }

 private:
    /// A batch with its place in the buffers.
    struct Slot {
        explicit Slot(BatchRunner r) : runner(std::move(r)) {}
        BatchRunner runner;
        std::vector<BlockRef> blocks;           // of the batch at hand
        std::vector<TransferRequest> requests;  // the same for the engine
        char* buffers = nullptr;
        Clock::time_point submitted{};
        bool busy = false;
    };

    Worker(TransferApi& api, const WorkloadSpec& spec, uint64_t thread, RunShared& shared);

    BlockTag tagOf(const BlockRef& block, uint64_t within) const;
    void fillBuffers();
    /// Pattern into what is to be written, poison into what is to be read.
    void prepareBuffers(const Slot& slot);
    void check(const Slot& slot);
    void checkPattern(const char* at, const BlockTag& expected, Expect expect);
    void makeRequests(Slot& slot);

    bool goesOn(Clock::time_point now) const;
    /// Begins to measure once the ramp time is over.
    void beginMeasuring(Clock::time_point now);
    /// Submits the slot's next batch. @return false when there is no block for it now
    bool launch(Slot& slot, Clock::time_point now);
    /// Takes in the batch that has ended.
    void land(Slot& slot, Clock::time_point now);
    void account(const Slot& slot, Clock::time_point now);
    /// Reads the slot's blocks and waits for them. @return all completed
    bool readNow(Slot& slot);
    /// Notes what failed and stops the run.
    void noteFailures(const Slot& slot);
    std::string nameOf(FileBufferID file) const;

    TransferApi& api_;
    const WorkloadSpec& spec_;
    RunShared& shared_;
    BlockSequence sequence_;
    std::unique_ptr<BufferArea> area_;
    std::vector<Slot> slots_;
    std::vector<size_t> fileOfRange_;  // of the sequence: its place in the spec
    Clock::time_point measureFrom_{};
    Clock::time_point deadline_{};
    Clock::time_point begun_{};
    Clock::time_point ended_{};
    CpuTime cpuAtBegin_;
    CpuTime cpuAtEnd_;
    std::optional<SubmitStats> submitsAtBegin_;
    std::optional<SubmitStats> submitsAtEnd_;
    bool measuring_ = false;
    uint64_t batches_ = 0;
    Figures figures_;
    VerifyTally tally_;
    bool stuck_ = false;
    // Alone on its cache line: another thread reads it all the time.
    alignas(64) std::atomic<uint64_t> completedBytes_{0};
};

}  // namespace mooncake::bench
