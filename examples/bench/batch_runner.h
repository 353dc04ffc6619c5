// SPDX-License-Identifier: Apache-2.0
// One batch from submission to its end: the documented way to use the engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/transfer_api.h"

namespace mooncake::bench {

/// A request that did not complete.
struct RequestProblem {
    size_t index;      ///< in the batch
    std::string what;  ///< e.g. "FAILED"
};

struct BatchOutcome {
    uint64_t completedBytes = 0;  ///< of COMPLETED requests
    uint64_t failed = 0;          ///< requests that ended otherwise, or did not end
    bool released = true;         ///< false: requests may still be under way, and own their memory
    std::string refusal;          ///< why the engine did not take the batch; empty if it did
    std::vector<RequestProblem> problems;  ///< the first kMaxProblems of them

    static constexpr size_t kMaxProblems = 10;
    bool ok() const { return failed == 0 && refusal.empty() && released; }
    /// For the next batch; keeps the memory.
    void reset() {
        completedBytes = 0;
        failed = 0;
        released = true;
        refusal.clear();
        problems.clear();
    }
};

/// One batch at a time, from its submission to its end. One thread only.
class BatchRunner {
 public:
    using Clock = std::chrono::steady_clock;

    /// @param api  must outlive the runner
    /// @param stallLimit  how long to wait while not a single request ends
    BatchRunner(TransferApi& api, std::chrono::milliseconds stallLimit)
        : api_(api), stallLimit_(stallLimit) {}

    /// Hands the batch to the engine.
    /// @param requests  at least one; stay unchanged until poll() has said that the batch has ended
    void submit(const std::vector<TransferRequest>& requests);

    /// How long a thread that waits for its batches sleeps between two questions at most.
    static constexpr std::chrono::milliseconds kLongestWait{10};

    /// Asks once. @return whether every request has ended, or none does any more: see outcome()
    bool poll();

    /// Of the batch that has ended.
    const BatchOutcome& outcome() const { return outcome_; }

    /// Submits and waits for the end.
    const BatchOutcome& run(const std::vector<TransferRequest>& requests);

 private:
    enum class Stage {
        kAsOne,   ///< asking for the batch as a whole
        kSingly,  ///< asking for each request: some did not complete, or nothing seems to move
        kEnded,
    };

    Stage pollAsOne();
    Stage pollSingly();
    /// Asks once for every request that has not ended. @return how many ended since the last call
    size_t collect();
    void release();

    TransferApi& api_;
    const std::chrono::milliseconds stallLimit_;
    const std::vector<TransferRequest>* requests_ = nullptr;
    BatchID batch_ = 0;
    Stage stage_ = Stage::kEnded;
    uint64_t bytes_ = 0;  // asked for
    uint64_t moved_ = 0;  // as of the last question
    uint32_t polls_ = 0;
    std::optional<Clock::time_point> movedAt_;  // when something was last seen to happen
    BatchOutcome outcome_;
    std::vector<size_t> open_;  // requests that have not ended, when they are asked for singly
};

}  // namespace mooncake::bench
