// SPDX-License-Identifier: Apache-2.0
// MultiTransport: the engine's batches, and which transport serves which request.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "transport/progress_source.h"
#include "transport/transport.h"

namespace mooncake {

class BatchRegistry;

// Every function may be called from any thread at any time.
//
// A BatchID is checked against the batches that are alive: one that was freed or never existed is
// InvalidArgument, also where its memory serves another batch now. It is a number without meaning
// to programs: its upper bits tell such batches apart, so it is not the address of the BatchDesc.
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
    // done.
    //
    // Nothing is added or submitted where the call as a whole is wrong: no requests, an unknown
    // segment (InvalidArgument), more tasks than the batch was allocated for (TooManyRequests), a
    // segment whose protocol has no transport installed (NotSupportedTransport). What is wrong with
    // one request's range or buffer fails its task alone. Any other error comes from a transport:
    // then the tasks are there, and those it did not accept have FAILED.
    Status submitTransfer(BatchID batch_id, const std::vector<TransferRequest>& entries);

    // COMPLETED once every slice of the task succeeded; FAILED once every slice has ended and one
    // has failed; WAITING before. Either end is final, the buffer is the caller's again, and
    // transferred_bytes is exact: the bytes of the slices that succeeded. InvalidArgument for a
    // task that was not submitted.
    Status getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status);

    // The same for all tasks of the batch together: FAILED and COMPLETED only once every task has
    // ended, so that the batch can be freed then. transferred_bytes is the sum. A batch without
    // tasks is COMPLETED.
    Status getBatchTransferStatus(BatchID batch_id, TransferStatus& status);

    // Waits until a task may have ended since this thread's last call: of this thread's submissions
    // at once, of others' a little later. `limit` at most, perhaps less, and without using a
    // processor; to be called in a loop that asks for the state. Whether one may have; with a limit
    // of 0 that alone is asked.
    bool waitForProgress(std::chrono::nanoseconds limit);

    // Loads the plugin of a protocol, makes an instance and installs it with `args` (the
    // transport's matter, may be null). The instance is this object's. An instance that is there
    // already is returned as it is. Null and one log line on failure.
    Transport* installTransportWithArgs(const std::string& proto, void** args);

    // Installs an instance that the program made itself. Zero, ERR_INVALID_ARGUMENT where the
    // protocol has one already, or what installWithArgs returned.
    int addTransport(const std::string& proto, std::shared_ptr<Transport> transport, void** args);

    // Takes the transport out, so that new requests for it are refused, and returns when the
    // instance has ended its requests and is destroyed. ERR_INVALID_ARGUMENT where there is none.
    // Not to be called by a transport.
    int uninstallTransport(const std::string& proto);

    // Null where there is none. Valid until the transport is uninstalled.
    Transport* getTransport(const std::string& proto);
    std::vector<Transport*> listTransports();

    // Refuses new batches and submissions, and uninstalls every transport. Batches can still be
    // polled and freed.
    void shutdown();

 private:
    struct Group;
    class Grouping;
    struct Installed {
        std::shared_ptr<Transport> transport;
        std::future<void> destroyed;  // ready when the instance is
    };

    // What can be asked for progress; most engines have one of it, which takes no memory.
    struct Sources {
        bool only = true;
        std::shared_ptr<ProgressSource> first;
        std::vector<std::shared_ptr<ProgressSource>> all;  // without `first`
    };

    std::shared_ptr<Transport> transportOf(const std::string& proto) const;
    Status selectTransports(const std::vector<TransferRequest>& entries, Grouping& groups) const;
    Status transportFor(Transport::SegmentID segment, size_t request,
                        std::shared_ptr<Transport>& transport) const;
    int install(const std::string& proto, std::shared_ptr<Transport> transport, void** args);
    int uninstall(const std::string& proto);
    Sources sources() const;
    bool progress() const;

    const std::shared_ptr<TransferMetadata> metadata_;
    std::string local_server_name_;
    const std::unique_ptr<BatchRegistry> batches_;
    // One installation or removal at a time; held over all of it, and taken by nothing else.
    std::mutex install_mutex_;
    mutable std::shared_mutex mutex_;  // of what follows; held for look-ups only
    std::map<std::string, Installed> transports_;
    std::vector<std::shared_ptr<ProgressSource>> sources_;  // the transports that are one, too
    std::atomic<bool> stopped_{false};                      // changed under the lock
};

}  // namespace mooncake
