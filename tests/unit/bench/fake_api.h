// SPDX-License-Identifier: Apache-2.0
// An engine in memory that can be told to fail in every way an engine may fail.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bench/transfer_api.h"

namespace mooncake::bench {

/// What becomes of a request.
enum class Fate {
    kComplete,
    kFail,       ///< FAILED, nothing moved
    kTimeout,    ///< TIMEOUT, and the batch cannot be freed
    kHang,       ///< WAITING for ever
    kShort,      ///< COMPLETED with half of the bytes
    kNothing,    ///< COMPLETED, but nothing moved
    kMisplace,   ///< COMPLETED, moved to or from the place of the block before
    kWrongFile,  ///< COMPLETED, moved to or from another file
    kTear,       ///< COMPLETED, but the second half of each 4 KiB was not moved
};

class FakeApi final : public TransferApi {
 public:
    static constexpr SegmentID kSegment = 7;

    /// @param sizes  bytes of files 1, 2, ...; zeros
    explicit FakeApi(const std::vector<uint64_t>& sizes);

    /// Decides about each request; may be called from several threads. kComplete without it.
    std::function<Fate(const TransferRequest&)> fate;
    /// Not OK: what submitTransfer answers.
    Status refusal;
    /// A request ends when it has been asked for this often, by itself or with its batch.
    int polls = 0;
    /// A batch reports FAILED as soon as one request has, though others are under way.
    bool failsEarly = false;
    /// Counts the submitted batches, as three I/Os each.
    bool counts = false;
    std::atomic<uint64_t> calls{0};
    /// How many memory registrations succeed.
    int registrations = 1 << 30;

    // What tests look at afterwards; under the lock while threads run.
    std::map<FileBufferID, std::vector<char>> files;
    std::vector<size_t> batchSizes;
    size_t liveBatches = 0;
    std::set<std::string> protests;  ///< uses of the interface that are wrong
    std::map<char*, size_t> memory;  ///< registered

    int registerLocalMemory(void* address, size_t bytes) override;
    int unregisterLocalMemory(void* address) override;
    BatchID allocateBatchID(size_t requests) override;
    Status submitTransfer(BatchID id, const std::vector<TransferRequest>& requests) override;
    Status getTransferStatus(BatchID id, size_t index, TransferStatus& status) override;
    Status getBatchTransferStatus(BatchID id, TransferStatus& status) override;
    Status freeBatchID(BatchID id) override;
    bool waitForProgress(std::chrono::nanoseconds) override {
        std::this_thread::yield();
        return true;
    }
    std::optional<SubmitStats> submitStats() override {
        return counts ? std::optional(SubmitStats{calls, 3 * calls}) : std::nullopt;
    }

 private:
    struct Task {
        TransferRequest request;
        Fate fate;
        int pollsLeft;
        TransferStatus status;
    };
    struct Batch {
        size_t capacity;
        std::vector<Task> tasks;
    };
    void advance(Task& task);
    void move(const Task& task);

    std::mutex mutex_;
    std::map<BatchID, Batch> batches_;
    BatchID nextBatch_ = 1;
};

}  // namespace mooncake::bench
