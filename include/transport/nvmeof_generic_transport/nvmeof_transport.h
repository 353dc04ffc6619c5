// SPDX-License-Identifier: Apache-2.0
// NVMeoFGenericTransport: file segments over NVMe-oF, through the Linux kernel's own target and
// initiator.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "transport/local_file_options.h"
#include "transport/nvmeof_generic_transport/transport_stats.h"
#include "transport/progress_source.h"
#include "transport/transport.h"

namespace mooncake {

/// Joins the three parts (target, initiator, io) and speaks the engine's Transport interface. The
/// engine makes and destroys it; users reach it through TransferEngine. Thread-safe once installed.
class NVMeoFGenericTransport : public Transport,
                               public ProgressSource,
                               public SubmitStatsSource,
                               public PathStatsSource,
                               public FileExporter {
 public:
    NVMeoFGenericTransport();

    /// Refuses new requests, ends those that wait, waits for those in the kernel; then disconnects
    /// what this process connected, withdraws the segment from the metadata, in the store and in
    /// this process, and removes what it exported. In a forked child of the process that installed
    /// it nothing of this, and every other function returns its error.
    ~NVMeoFGenericTransport() override;

    /// Adds `entries` to the batch as tasks and submits them. Not for two threads at once on one
    /// batch.
    /// @param batch_id  from allocateBatchID() of this transport
    /// @return TooManyRequests (more tasks than the batch was made for), InvalidArgument (not
    ///     installed), Memory; the batch is as before then. A request that is wrong by itself
    ///     (file, range, length, buffer) does not fail the call: its task ends FAILED.
    Status submitTransfer(BatchID batch_id, const std::vector<TransferRequest>& entries) override;

    /// Submits tasks whose `request` is set. Never waits for I/O, connections or metadata; the
    /// requests are copied before it returns. A task with an opcode that is none FAILS.
    /// @return InvalidArgument where the transport is not installed, Memory without memory for all
    ///     of them; none is submitted then, and none has slices
    Status submitTransferTask(const std::vector<TransferTask*>& task_list) override;

    /// @param batch_id  from allocateBatchID() of this transport
    /// @param task_id  index of the task in its batch, from 0
    /// @param status  receives WAITING, COMPLETED or FAILED, and the bytes that moved so far
    /// @return InvalidArgument for a task_id outside the batch
    Status getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status) override;

    void enableProgress() override;
    bool progress() override;
    bool waitForProgress(std::chrono::nanoseconds limit) override;

    /// What this node has counted since the transport was installed, as an initiator and as a
    /// target. A program that does not link the plugin calls it, too, since it is virtual:
    ///     auto* transport =
    ///     static_cast<NVMeoFGenericTransport*>(engine.getTransport("nvmeof_generic"));
    ///     if (transport != nullptr) stats = transport->getStats();
    /// The pointer is valid until the transport is uninstalled. Does not disturb I/O.
    virtual TransportStats getStats() const;

    /// The same as text, in the format that Prometheus reads.
    virtual std::string getStatsText() const;

    SubmitStats submitStats() const override;
    std::vector<PathStats> pathStats(uint64_t segment) const override;

    /// As registerLocalFile(), with options.
    int exportLocalFile(FileBufferID id, const std::string& path, size_t size,
                        const LocalFileOptions& options) override;

 protected:
    /// As installWithArgs() without arguments: an initiator that exports nothing.
    int install(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                std::shared_ptr<Topology> topo) override;

    /// @param args  nullptr: an initiator that exports nothing; else args[0] is the `char*` to the
    ///     target's address, "trtype=<tcp|rdma> adrfam=<ipv4|ipv6> traddr=<address>
    ///     trsvcid=<port>", with advertise=, allowed_hosts=, allowed_hosts_file=, dhchap_keys=
    ///     and path_check= beside it.
    ///     Not used afterwards.
    /// @return 0, ERR_INVALID_ARGUMENT (address, an MC_NVMEOF_GENERIC_* variable, installed
    /// already),
    ///     ERR_CONTEXT (the kernel refused), ERR_METADATA; the log says what and why. Nothing stays
    ///     behind after an error.
    int installWithArgs(std::string& local_server_name, std::shared_ptr<TransferMetadata> meta,
                        void** args) override;

 private:
    // Memory needs no registration: the kernel pins the pages of each I/O by itself.
    int registerLocalMemory(void* addr, size_t length, const std::string& location,
                            bool remote_accessible, bool update_metadata) override;
    int unregisterLocalMemory(void* addr, bool update_metadata) override;
    int registerLocalMemoryBatch(const std::vector<BufferEntry>& buffer_list,
                                 const std::string& location) override;
    int unregisterLocalMemoryBatch(const std::vector<void*>& addr_list) override;

    bool supportFileBuffer() override { return true; }

    /// Exports a file as namespace `id` and publishes it in the local segment's descriptor.
    /// @param id  from 1 up, never used before with this instance
    /// @param size  bytes to export, at most the physical size; rounded down to whole blocks
    /// @return 0, ERR_INVALID_ARGUMENT, ERR_CONTEXT (the kernel refused), ERR_METADATA (not
    ///     published, not exported)
    int registerLocalFile(FileBufferID id, const std::string& path, size_t size) override;

    /// Withdraws a file from the descriptor and the export; waits for its I/O in flight, but not
    /// for ever.
    /// @return 0, also for a file that is not exported any more because it changed; ERR_CONTEXT (a
    ///     disk hangs, and the file goes when that ends; or the kernel refused)
    int unregisterLocalFile(FileBufferID id) override;

    const char* getName() const override { return "nvmeof_generic"; }

    struct Parts;

    static void addSlice(TransferTask& task, int64_t posted);
    bool inherited() const;
    bool usable() const;

    std::unique_ptr<Parts> parts_;
    bool published_ = false;
};

}  // namespace mooncake
