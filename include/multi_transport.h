// SPDX-License-Identifier: Apache-2.0
// MultiTransport: the engine's batches, and which transport serves which request.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace mooncake {

class BatchRegistry;
class TransportTable;

// Every function may be called from any thread at any time, also from the destructors of static
// and thread_local objects as long as this object lives. No function throws but for want of memory;
// submitTransfer, the two questions for a state and waitForProgress say Memory instead, or false.
//
// A BatchID is checked against the batches that are alive: one that was freed or never existed is
// InvalidArgument, also where its memory serves another batch now: no number is given twice. It
// means nothing to programs, and is not the address of the BatchDesc.
class MultiTransport {
 public:
    using BatchID = Transport::BatchID;
    using TransferRequest = Transport::TransferRequest;
    using TransferStatus = Transport::TransferStatus;
    using BatchDesc = Transport::BatchDesc;

    static constexpr BatchID INVALID_BATCH_ID = Transport::INVALID_BATCH_ID;

    MultiTransport(std::shared_ptr<TransferMetadata> metadata,
                   const std::string& local_server_name);
    // Shuts down, then frees the batches that nobody freed.
    ~MultiTransport();
    MultiTransport(const MultiTransport&) = delete;
    MultiTransport& operator=(const MultiTransport&) = delete;

    // A batch for at most `batch_size` tasks, to be freed with freeBatchID. INVALID_BATCH_ID
    // without memory, for a size beyond any memory, and after shutdown.
    BatchID allocateBatchID(size_t batch_size);

    // BatchBusy while a task is unfinished or a submission to the batch is under way.
    Status freeBatchID(BatchID batch_id);

    // Adds a task for each request, in order, and hands them to the transports of their segments,
    // once to each. `entries` need not outlive the call; the buffers must stay until their task is
    // done. OK, and nothing happens, where there are no requests.
    //
    // Nothing is added or submitted where the call as a whole is wrong: an unknown batch or segment
    // (InvalidArgument), more tasks than the batch was allocated for (TooManyRequests), a segment
    // whose protocol has no transport installed (NotSupportedTransport), no memory to begin with
    // (Memory). What is wrong with one request's range or buffer fails its task alone. Any other
    // error comes from a transport, and is none of the first three: Memory where it had none, else
    // Context as a rule. Then the tasks are there, those that it did not accept have FAILED, and
    // the others go on. After Memory the state of the first task tells which it was: it is
    // InvalidArgument where nothing was added.
    Status submitTransfer(BatchID batch_id, const std::vector<TransferRequest>& entries);

    // COMPLETED once every slice of the task succeeded; FAILED once every slice has ended and one
    // has failed; WAITING before. Either end is final, the buffer is the caller's again, and
    // transferred_bytes is exact: the bytes of the slices that succeeded. InvalidArgument for a
    // task that was not submitted.
    Status getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status);

    // The same for all tasks of the batch together: FAILED and COMPLETED only once every task has
    // ended, so that the batch can be freed then; transferred_bytes is the sum. While WAITING it is
    // the sum of the tasks before the first one that has not ended: the others are not looked at,
    // and those before not again. A batch without tasks is COMPLETED.
    Status getBatchTransferStatus(BatchID batch_id, TransferStatus& status);

    // Waits until a task may have ended, without using a processor: a program calls it between two
    // questions for a state. Returns after `limit` at the latest, and after 10 ms, or less, also
    // when no task has ended. Returns at once when a task that this thread submitted has ended
    // since its previous call; tasks of other threads may be noticed up to a few milliseconds late.
    // Returns false if no task has ended since the previous call, as far as the transports know.
    // With a limit of 0 it does not wait.
    bool waitForProgress(std::chrono::nanoseconds limit);

    // Loads the plugin of a protocol, makes an instance and installs it with `args` (the
    // transport's matter, may be null). The instance is this object's. An instance that is there
    // already is returned as it is. Null and one log line on failure.
    Transport* installTransportWithArgs(const std::string& proto, void** args);

    // Installs an instance that the program made itself. Zero, ERR_INVALID_ARGUMENT where the
    // protocol has one already, or what installWithArgs returned.
    int addTransport(const std::string& proto, std::shared_ptr<Transport> transport, void** args);

    // Takes the transport out, so that new requests for it are refused, waits for the calls that
    // are in it (a submission takes as long as its system calls, a wait 10 ms), and destroys the
    // instance, which ends its requests, on the calling thread. ERR_INVALID_ARGUMENT where there is
    // none. Not to be called by a transport.
    int uninstallTransport(const std::string& proto);

    // Null where there is none. Valid until the transport is uninstalled.
    Transport* getTransport(const std::string& proto);
    std::vector<Transport*> listTransports();

    // Refuses new batches and submissions, and uninstalls every transport. Batches can still be
    // polled and freed.
    void shutdown();

 private:
    int install(const std::string& proto, std::shared_ptr<Transport> transport, void** args);
    int uninstall(const std::string& proto);
    bool progress();

    const std::shared_ptr<TransferMetadata> metadata_;
    std::string local_server_name_;
    const std::unique_ptr<BatchRegistry> batches_;
    const std::unique_ptr<TransportTable> transports_;
    // One installation or removal at a time; held over all of it, and taken by nothing else.
    std::mutex install_mutex_;
    std::atomic<bool> stopped_{false};  // changed with install_mutex_ held
};

}  // namespace mooncake
