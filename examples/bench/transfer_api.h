// SPDX-License-Identifier: Apache-2.0
// What the workload needs of an engine, so that it also runs on one that fails on purpose.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "transfer_engine.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::bench {

/// Every function does what TransferEngine's function of that name does. Thread-safe.
class TransferApi {
 public:
    virtual ~TransferApi() = default;

    virtual int registerLocalMemory(void* address, size_t bytes) = 0;
    virtual int unregisterLocalMemory(void* address) = 0;

    virtual BatchID allocateBatchID(size_t requests) = 0;
    virtual Status submitTransfer(BatchID batch, const std::vector<TransferRequest>& requests) = 0;
    virtual Status getTransferStatus(BatchID batch, size_t request, TransferStatus& status) = 0;
    virtual Status getBatchTransferStatus(BatchID batch, TransferStatus& status) = 0;
    virtual Status freeBatchID(BatchID batch) = 0;
    virtual bool waitForProgress(std::chrono::nanoseconds limit) = 0;

    /// The transport's, so far; nothing where it does not count.
    virtual std::optional<SubmitStats> submitStats() { return std::nullopt; }
    /// To a segment; none where the transport knows of none.
    virtual std::vector<PathStats> pathStats(SegmentID) { return {}; }
};

/// The real engine.
class EngineApi final : public TransferApi {
 public:
    /// @param engine  must outlive this object
    explicit EngineApi(TransferEngine& engine) : engine_(engine) {}

    int registerLocalMemory(void* address, size_t bytes) override {
        return engine_.registerLocalMemory(address, bytes);
    }
    int unregisterLocalMemory(void* address) override {
        return engine_.unregisterLocalMemory(address);
    }
    BatchID allocateBatchID(size_t requests) override { return engine_.allocateBatchID(requests); }
    Status submitTransfer(BatchID batch, const std::vector<TransferRequest>& requests) override {
        return engine_.submitTransfer(batch, requests);
    }
    Status getTransferStatus(BatchID batch, size_t request, TransferStatus& status) override {
        return engine_.getTransferStatus(batch, request, status);
    }
    Status getBatchTransferStatus(BatchID batch, TransferStatus& status) override {
        return engine_.getBatchTransferStatus(batch, status);
    }
    Status freeBatchID(BatchID batch) override { return engine_.freeBatchID(batch); }
    bool waitForProgress(std::chrono::nanoseconds limit) override {
        return engine_.waitForProgress(limit);
    }
    std::optional<SubmitStats> submitStats() override {
        auto* source = dynamic_cast<SubmitStatsSource*>(engine_.getTransport("nvmeof_generic"));
        if (source == nullptr) return std::nullopt;
        return source->submitStats();
    }
    std::vector<PathStats> pathStats(SegmentID segment) override {
        auto* source = dynamic_cast<PathStatsSource*>(engine_.getTransport("nvmeof_generic"));
        if (source == nullptr) return {};
        return source->pathStats(segment);
    }

 private:
    TransferEngine& engine_;
};

}  // namespace mooncake::bench
