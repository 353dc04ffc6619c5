// SPDX-License-Identifier: Apache-2.0
#include "bench/batch_runner.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace mooncake::bench {
namespace {

// How long a batch may show no progress as a whole before its requests are asked for one by one,
// which is dear in engines that look at the whole batch each time.
constexpr std::chrono::milliseconds kPatience{1000};

bool isUnderWay(const TransferStatus& status) {
    return status.s == TransferStatusEnum::WAITING || status.s == TransferStatusEnum::PENDING;
}

const char* nameOf(TransferStatusEnum status) {
    switch (status) {
        case TransferStatusEnum::INVALID:
            return "INVALID";
        case TransferStatusEnum::CANCELED:
            return "CANCELED";
        case TransferStatusEnum::TIMEOUT:
            return "TIMEOUT";
        case TransferStatusEnum::FAILED:
            return "FAILED";
        default:
            return "of unknown status";
    }
}

void addProblem(BatchOutcome& outcome, size_t index, std::string what) {
    ++outcome.failed;
    if (outcome.problems.size() < BatchOutcome::kMaxProblems) {
        outcome.problems.push_back({index, std::move(what)});
    }
}

}  // namespace

BatchOutcome BatchRunner::run(const std::vector<TransferRequest>& requests) {
    BatchOutcome outcome;
    uint64_t bytes = 0;
    for (const TransferRequest& request : requests) bytes += request.length;

    const BatchID batch = api_.allocateBatchID(requests.size());
    if (static_cast<int64_t>(batch) < 0) {  // engines give INVALID_BATCH_ID or an error number
        outcome.refusal = "no memory for a batch of " + std::to_string(requests.size());
        return outcome;
    }
    if (const Status status = api_.submitTransfer(batch, requests); !status.ok()) {
        // Which of the requests were taken nevertheless is unknown.
        outcome.refusal = status.ToString();
        outcome.released = false;
        return outcome;
    }
    pace_.begin();
    if (waitForAll(batch, bytes)) {
        outcome.completedBytes = bytes;
    } else {
        waitForEach(batch, requests, outcome);
    }
    pace_.end();
    if (!outcome.released) return outcome;
    if (const Status status = api_.freeBatchID(batch); !status.ok()) {
        outcome.released = false;
        if (outcome.failed == 0)
            outcome.refusal = "the batch cannot be freed: " + status.ToString();
    }
    return outcome;
}

bool BatchRunner::waitForAll(BatchID batch, uint64_t bytes) {
    const auto patience = std::min(kPatience, stallLimit_);
    uint64_t moved = 0;
    Clock::time_point movedAt = Clock::now();
    for (;;) {
        TransferStatus status{TransferStatusEnum::WAITING, 0};
        if (!api_.getBatchTransferStatus(batch, status).ok()) return false;
        if (status.s == TransferStatusEnum::COMPLETED) return status.transferred_bytes == bytes;
        if (!isUnderWay(status)) return false;
        const Clock::time_point now = Clock::now();
        if (status.transferred_bytes != moved) {
            moved = status.transferred_bytes;
            movedAt = now;
        } else if (now - movedAt > patience) {
            return false;
        }
        pace_.pause();
    }
}

void BatchRunner::waitForEach(BatchID batch, const std::vector<TransferRequest>& requests,
                              BatchOutcome& outcome) {
    open_.resize(requests.size());
    std::iota(open_.begin(), open_.end(), size_t{0});
    Clock::time_point endedAt = Clock::now();
    for (;;) {
        const size_t ended = collect(batch, requests, outcome);
        if (open_.empty()) return;
        const Clock::time_point now = Clock::now();
        if (ended > 0) {
            endedAt = now;
        } else if (now - endedAt > stallLimit_) {
            break;
        }
        pace_.pause();
    }
    outcome.released = false;
    const std::string what =
        "has not ended, and no request did in " + std::to_string(stallLimit_.count()) + " ms";
    for (size_t index : open_) addProblem(outcome, index, what);
}

size_t BatchRunner::collect(BatchID batch, const std::vector<TransferRequest>& requests,
                            BatchOutcome& outcome) {
    const auto ended = [&](size_t index) {
        TransferStatus status{TransferStatusEnum::WAITING, 0};
        if (const Status asked = api_.getTransferStatus(batch, index, status); !asked.ok()) {
            addProblem(outcome, index, "has no status: " + asked.ToString());
            outcome.released = false;
            return true;
        }
        if (isUnderWay(status)) return false;
        const uint64_t length = requests[index].length;
        if (status.s != TransferStatusEnum::COMPLETED) {
            addProblem(outcome, index, std::string("is ") + nameOf(status.s));
        } else if (status.transferred_bytes != length) {
            addProblem(outcome, index,
                       "is COMPLETED, but moved " + std::to_string(status.transferred_bytes) +
                           " of " + std::to_string(length) + " bytes");
        } else {
            outcome.completedBytes += length;
        }
        return true;
    };
    const size_t before = open_.size();
    open_.erase(std::remove_if(open_.begin(), open_.end(), ended), open_.end());
    return before - open_.size();
}

}  // namespace mooncake::bench
