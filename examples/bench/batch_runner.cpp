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

// Polls between two looks at the clock, while a batch shows no end.
constexpr uint32_t kPollsPerLook = 16;

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

void BatchRunner::submit(const std::vector<TransferRequest>& requests) {
    requests_ = &requests;
    outcome_.reset();
    stage_ = Stage::kEnded;
    bytes_ = 0;
    moved_ = 0;
    for (const TransferRequest& request : requests) bytes_ += request.length;

    batch_ = api_.allocateBatchID(requests.size());
    if (static_cast<int64_t>(batch_) < 0) {  // engines give INVALID_BATCH_ID or an error number
        outcome_.refusal = "no memory for a batch of " + std::to_string(requests.size());
        return;
    }
    if (const Status status = api_.submitTransfer(batch_, requests); !status.ok()) {
        // Which of the requests were taken nevertheless is unknown.
        outcome_.refusal = status.ToString();
        outcome_.released = false;
        return;
    }
    movedAt_.reset();
    polls_ = 0;
    stage_ = Stage::kAsOne;
}

bool BatchRunner::poll() {
    if (stage_ == Stage::kAsOne) stage_ = pollAsOne();
    if (stage_ == Stage::kSingly) stage_ = pollSingly();
    return stage_ == Stage::kEnded;
}

const BatchOutcome& BatchRunner::run(const std::vector<TransferRequest>& requests) {
    submit(requests);
    while (!poll()) api_.waitForProgress(kLongestWait);
    return outcome_;
}

BatchRunner::Stage BatchRunner::pollAsOne() {
    const auto oneByOne = [this] {
        open_.resize(requests_->size());
        std::iota(open_.begin(), open_.end(), size_t{0});
        movedAt_ = Clock::now();
        return Stage::kSingly;
    };
    TransferStatus status{TransferStatusEnum::WAITING, 0};
    if (!api_.getBatchTransferStatus(batch_, status).ok()) return oneByOne();
    if (status.s == TransferStatusEnum::COMPLETED && status.transferred_bytes == bytes_) {
        outcome_.completedBytes = bytes_;
        release();
        return Stage::kEnded;
    }
    if (!isUnderWay(status)) return oneByOne();
    // The clock costs more than the question.
    if (++polls_ % kPollsPerLook != 0) return Stage::kAsOne;
    if (!movedAt_ || status.transferred_bytes != moved_) {
        moved_ = status.transferred_bytes;
        movedAt_ = Clock::now();
    } else if (Clock::now() - *movedAt_ > std::min(kPatience, stallLimit_)) {
        return oneByOne();
    }
    return Stage::kAsOne;
}

BatchRunner::Stage BatchRunner::pollSingly() {
    const size_t ended = collect();
    if (open_.empty()) {
        release();
        return Stage::kEnded;
    }
    const Clock::time_point now = Clock::now();
    if (ended > 0) {
        movedAt_ = now;
    } else if (now - *movedAt_ > stallLimit_) {
        outcome_.released = false;
        const std::string what =
            "has not ended, and no request did in " + std::to_string(stallLimit_.count()) + " ms";
        for (size_t index : open_) addProblem(outcome_, index, what);
        return Stage::kEnded;
    }
    return Stage::kSingly;
}

void BatchRunner::release() {
    if (!outcome_.released) return;
    const Status status = api_.freeBatchID(batch_);
    if (status.ok()) return;
    outcome_.released = false;
    if (outcome_.failed == 0) {
        outcome_.refusal = "the batch cannot be freed: " + status.ToString();
    }
}

size_t BatchRunner::collect() {
    const auto ended = [&](size_t index) {
        TransferStatus status{TransferStatusEnum::WAITING, 0};
        if (const Status asked = api_.getTransferStatus(batch_, index, status); !asked.ok()) {
            addProblem(outcome_, index, "has no status: " + asked.ToString());
            outcome_.released = false;
            return true;
        }
        if (isUnderWay(status)) return false;
        const uint64_t length = (*requests_)[index].length;
        if (status.s != TransferStatusEnum::COMPLETED) {
            addProblem(outcome_, index, std::string("is ") + nameOf(status.s));
        } else if (status.transferred_bytes != length) {
            addProblem(outcome_, index,
                       "is COMPLETED, but moved " + std::to_string(status.transferred_bytes) +
                           " of " + std::to_string(length) + " bytes");
        } else {
            outcome_.completedBytes += length;
        }
        return true;
    };
    const size_t before = open_.size();
    open_.erase(std::remove_if(open_.begin(), open_.end(), ended), open_.end());
    return before - open_.size();
}

}  // namespace mooncake::bench
