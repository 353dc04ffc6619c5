// SPDX-License-Identifier: Apache-2.0
// One thread's share of a workload: its blocks, its buffers, its batches.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "bench/batch_runner.h"
#include "bench/block_pattern.h"
#include "bench/block_sequence.h"
#include "bench/buffer_area.h"
#include "bench/run_log.h"
#include "bench/workload_spec.h"

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

    /// Bytes of buffers that create() will allocate for thread 0, whose share is the largest.
    static uint64_t bufferBytes(const WorkloadSpec& spec);

    /// Reads the first block of a file, so that a connection that cannot be made is found out
    /// before the clock runs. @return ExitCode::kIoError
    MaybeFailure probe(const WorkFile& file);

    /// Runs batches until `duration` is over or the run stops.
    void transfer(std::chrono::nanoseconds duration);

    /// Reads back everything transfer() wrote and checks it. Goes on after a mismatch, so that all
    /// of them are counted; ends early when the run stops.
    void readBack();

    Clock::time_point begun() const { return begun_; }  ///< of transfer()
    Clock::time_point ended() const { return ended_; }
    uint64_t batches() const { return batches_; }  ///< of transfer(), completed
    const VerifyTally& tally() const { return tally_; }
    bool stuck() const { return stuck_; }  ///< a request has not ended; its memory stays

    /// Of COMPLETED requests in transfer(). Any thread.
    uint64_t completedBytes() const { return completedBytes_.load(std::memory_order_relaxed); }

 private:
    Worker(TransferApi& api, const WorkloadSpec& spec, uint64_t thread, RunShared& shared);

    BlockTag tagOf(const BlockRef& block, uint64_t within) const;
    void fillBuffers();
    void fillPattern();
    void poisonBuffers();
    void check(Expect expect);
    /// Runs one batch on blocks_. Notes what failed and stops the run then. @return all completed
    bool runBatch(TransferRequest::OpCode opcode, BatchOutcome& outcome);
    void noteFailures(const BatchOutcome& outcome);
    char* buffer(size_t index) const { return area_->data() + index * spec_.blockSize; }
    std::string nameOf(FileBufferID file) const;

    const WorkloadSpec& spec_;
    RunShared& shared_;
    BlockSequence sequence_;
    BatchRunner runner_;
    std::unique_ptr<BufferArea> area_;
    std::vector<BlockRef> blocks_;           // of the batch at hand
    std::vector<TransferRequest> requests_;  // the same for the engine
    Clock::time_point begun_{};
    Clock::time_point ended_{};
    uint64_t batches_ = 0;
    VerifyTally tally_;
    bool stuck_ = false;
    // Alone on its cache line: another thread reads it all the time.
    alignas(64) std::atomic<uint64_t> completedBytes_{0};
};

}  // namespace mooncake::bench
