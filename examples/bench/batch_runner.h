// SPDX-License-Identifier: Apache-2.0
// One batch from submission to its end: the documented way to use the engine.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/polite_wait.h"
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
};

/// Runs batches, one after the other. One thread only.
class BatchRunner {
 public:
    using Clock = std::chrono::steady_clock;

    /// @param api  must outlive the runner
    /// @param stallLimit  how long to wait while not a single request ends
    BatchRunner(TransferApi& api, std::chrono::milliseconds stallLimit)
        : api_(api), stallLimit_(stallLimit) {}

    /// Submits and waits until every request has ended, or none does any more.
    /// @param requests  at least one; unchanged until the call returns
    BatchOutcome run(const std::vector<TransferRequest>& requests);

 private:
    /// Waits for the batch as a whole. @return false when its requests must be asked for singly:
    /// some did not complete, or nothing seems to move
    bool waitForAll(BatchID batch, uint64_t bytes);
    /// Waits for each request, until none of the rest ends within the limit.
    void waitForEach(BatchID batch, const std::vector<TransferRequest>& requests,
                     BatchOutcome& outcome);
    /// Asks once for every request that has not ended. @return how many ended since the last call
    size_t collect(BatchID batch, const std::vector<TransferRequest>& requests,
                   BatchOutcome& outcome);

    TransferApi& api_;
    std::chrono::milliseconds stallLimit_;
    PoliteWait pace_;
    std::vector<size_t> open_;  // requests that have not ended, when they are asked for singly
};

}  // namespace mooncake::bench
