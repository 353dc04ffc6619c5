// SPDX-License-Identifier: Apache-2.0
// TransferEngine: what a program uses to offer local files to other nodes and to read and write
// theirs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory_location.h"
#include "multi_transport.h"
#include "transfer_metadata.h"
#include "transport/local_file_options.h"
#include "transport/transport.h"

namespace mooncake {

class NumberSet;

using TransferRequest = Transport::TransferRequest;
using TransferStatus = Transport::TransferStatus;
using TransferStatusEnum = Transport::TransferStatusEnum;
using SegmentHandle = Transport::SegmentHandle;
using SegmentID = Transport::SegmentID;
using BatchID = Transport::BatchID;
using BufferEntry = Transport::BufferEntry;
// The number of a file in its segment. Whoever opened the segment takes it from the segment's
// descriptor (getMetadata()->getSegmentDescByID()). It means the same file for as long as the
// segment's handle lives, whatever number its node gives the file later: a restart of the node, a
// file that is not there any more, another order. A request whose file its node does not have any
// more ends FAILED, and goes through again when it has. A file that was deleted and made anew is
// another file, with another number.
using FileBufferID = TransferMetadata::FileBufferID;

// Thread rule: every function but the destructor may be called from any thread at any time, also
// from destructors of static and thread_local objects while the engine lives, except from within a
// transport. Before a successful init, and after freeEngine, they return an error. Questions for a
// state and submissions hold up nobody; uninstallTransport and freeEngine wait for the calls that
// are in the transport.
// Errors: functions that return int give 0 or a negative value of error.h, and the cause is in the
// log; functions that return Status have it in the message. No function throws but for want of
// memory. Sizes, lengths and offsets are in bytes. Strings and vectors are copied; memory stays the
// caller's.
//
// Writes: any range of a file can be written, and writes of one process do not lose each other's
// bytes, whatever handles and engines they go through. Two processes or nodes must not write to the
// same block of a file at the same time unless both write whole blocks (multiples of the file's
// `align`, see FileBufferDesc): a part of a block is written by reading the block and writing all
// of it, so bytes that the other one has written meanwhile are lost, although both requests are
// COMPLETED. With MC_NVMEOF_GENERIC_UNALIGNED_WRITES=refuse such writes fail.
//
// Fork: an engine belongs to the process that initialised it, where its requests, exports and
// connections go on undisturbed. In a forked child it is as one that is not initialised: every
// function returns its error at once, the destructor touches nothing outside the process, and a
// batch cannot be polled. The child may make an engine of its own. Before Linux 6.5 a direct read
// that is in flight at a fork may miss its buffer where that shares a page with what the parent
// writes meanwhile: docs/operations.md says what to do.
class TransferEngine {
 public:
    using NameInUse = TransferMetadata::NameInUse;

    // The arguments concern memory segments; file segments discover nothing.
    explicit TransferEngine(bool auto_discover = false);
    TransferEngine(bool auto_discover, const std::vector<std::string>& filter);
    // freeEngine, then frees the batches that nobody freed.
    ~TransferEngine();
    TransferEngine(const TransferEngine&) = delete;
    TransferEngine& operator=(const TransferEngine&) = delete;

    // Joins the nodes that share a metadata store.
    //   metadata_conn_string  which store: http://host:port/metadata, https://...,
    //                         etcd://host:port[,host:port...], host:port (etcd),
    //                         etcd://https://host:port[,https://host:port...],
    //                         redis://host:port, or P2PHANDSHAKE for none
    //   local_server_name     this node's name among them and its segment's: 1 to 512 printable
    //                         characters without space, comma and slash; usually host or host:port
    //   ip_or_host_name       published as the node's address; empty: the host in
    //                         local_server_name
    //   rpc_port              published beside it, 0 to 65535
    //   name_in_use           what happens where a process under the same name has not removed its
    //                         entries: kTakeOver (as Mooncake does) replaces them, with a line in
    //                         the log; kRefuse first waits up to 15 s for a sign that that process
    //                         still runs. An addition to Mooncake's interface. Without effect with
    //                         P2PHANDSHAKE, where two processes cannot have one address.
    // With P2PHANDSHAKE the name must be host:port, where others ask this node for its segment, or
    // host or host:0 for a port that is free; ip_or_host_name and rpc_port are not used, and
    // getLocalIpAndPort tells the name under which the others open the segment.
    // ERR_INVALID_ARGUMENT for a malformed argument or an engine that was initialised before,
    // ERR_METADATA where the store cannot be reached, ERR_SOCKET where the port cannot be listened
    // on, ERR_ADDRESS_OVERLAPPED where a process that runs has the name and it was to be refused.
    // After an error init may be tried again. Takes as long as the store does, 20 s at most, and
    // the wait for a process of the same name.
    int init(const std::string& metadata_conn_string, const std::string& local_server_name,
             const std::string& ip_or_host_name = "", uint64_t rpc_port = 12345,
             NameInUse name_in_use = NameInUse::kTakeOver);

    // Uninstalls the transports, which end every request in flight, then removes what this node
    // published. Batches can still be polled and freed. 0 also when there is nothing to free;
    // ERR_METADATA if the store kept an entry.
    int freeEngine();

    // Loads and starts the transport of a protocol; one that is installed already is returned as it
    // is. What was registered before is registered with it.
    //   proto  "nvmeof_generic", or the protocol of another plugin: letters, digits, underscores
    //   args   the transport's matter. "nvmeof_generic": args[0] is a char* to the address at which
    //          this node exports files, "trtype=tcp adrfam=ipv4 traddr=10.0.0.1 trsvcid=4420"; args
    //          or args[0] null for a node that exports none. Not used after the call.
    // Null, with the cause in the log, on failure, which leaves nothing installed. The pointer is
    // the engine's, valid until the transport is uninstalled.
    Transport* installTransport(const std::string& proto, void** args);

    // Ends the transport's requests (each is COMPLETED or FAILED then) and destroys it. The local
    // files are unregistered with the last transport that served files. ERR_INVALID_ARGUMENT where
    // it is not installed.
    int uninstallTransport(const std::string& proto);

    // "address:port" as published, an IPv6 address in brackets; empty before init.
    std::string getLocalIpAndPort();
    // As published; ERR_INVALID_ARGUMENT before init.
    int getRpcPort();

    // The handle of a segment, for TransferRequest::target_id: the same for each call,
    // LOCAL_SEGMENT_ID for one's own. The first call asks the metadata store; none connects to the
    // segment's node yet. Leading slashes of the name are ignored. (SegmentHandle)-1 where the
    // segment cannot be found, the store does not answer, or the name cannot be one.
    SegmentHandle openSegment(const std::string& segment_name);
    // The next openSegment fetches the segment's descriptor afresh; the handle stays the same, and
    // requests under way go on. ERR_INVALID_ARGUMENT for a handle that is not open.
    int closeSegment(SegmentHandle handle);
    // Forgets the segment in this process; its handle is not open any more. What is published
    // stays. 0 also for a segment that is not known; ERR_INVALID_ARGUMENT for an empty name.
    int removeLocalSegment(const std::string& segment_name);

    // Memory for transfers. File segments need no registration; it is passed on to the transports,
    // and kept so that overlapping regions are refused. The memory stays the caller's, who
    // unregisters it before it is freed. The batch forms do all or nothing.
    //   addr, length       a region of `length` bytes, 1 or more
    //   location           where it is ("cpu:0"), or kWildcardLocation for anywhere in the host;
    //                      transports of files refuse that of a device ("cuda:0")
    //   remote_accessible  concerns memory segments, as does update_metadata
    // ERR_INVALID_ARGUMENT for a null or empty region, ERR_ADDRESS_OVERLAPPED for one that overlaps
    // a registered one, else the transport's error.
    int registerLocalMemory(void* addr, size_t length,
                            const std::string& location = kWildcardLocation,
                            bool remote_accessible = true, bool update_metadata = true);
    // ERR_ADDRESS_NOT_REGISTERED where no region starts at `addr`; the batch form then unregisters
    // none.
    int unregisterLocalMemory(void* addr, bool update_metadata = true);
    int registerLocalMemoryBatch(const std::vector<BufferEntry>& buffer_list,
                                 const std::string& location);
    int unregisterLocalMemoryBatch(const std::vector<void*>& addr_list);
    // Whether a registered region overlaps the `length` bytes from `addr`.
    bool checkOverlap(void* addr, uint64_t length);

    // Whether a transport is installed that serves files; false before init.
    bool supportFileBuffer();

    // Offers a file or block device to other nodes, which may then read and write its first `size`
    // bytes. `id` receives the number that requests name it by: 1 or more, never given twice by one
    // engine. It is unchanged on failure, which leaves nothing registered. ERR_INVALID_ARGUMENT for
    // an empty path, ERR_ADDRESS_OVERLAPPED for one that is registered (also when it is written
    // differently), ERR_NOT_IMPLEMENTED without a transport that serves files, else the transport's
    // error. With 0 the file is exported, and the record that others find it by is published. That
    // record holds all files and is written as a whole: see FileBatch for many files.
    int registerLocalFile(const std::string& path, size_t size, FileBufferID& id);
    // The same with options, such as read-only; an addition to Mooncake's interface.
    // ERR_NOT_IMPLEMENTED where a transport that serves files knows no options.
    int registerLocalFile(const std::string& path, size_t size, FileBufferID& id,
                          const LocalFileOptions& options);
    // The largest number that can be chosen. The kernels of those who connect go through all
    // numbers up to the largest one of a segment, one by one, whenever a file comes or goes
    // (nvme_scan_ns_list in drivers/nvme/host/core.c): with numbers in the billions they do nothing
    // else for minutes.
    static constexpr FileBufferID kMaxChosenFileID = 65535;
    // The same with a number of the caller's choice, 1 to kMaxChosenFileID, such as one that the
    // file had before a restart; an addition to Mooncake's interface. Also ERR_INVALID_ARGUMENT for
    // another number, and ERR_ADDRESS_OVERLAPPED for one that this engine has given a file already;
    // only ERR_INVALID_ARGUMENT leaves the number free.
    int registerLocalFileAs(const std::string& path, size_t size, FileBufferID id,
                            const LocalFileOptions& options = {});
    // `path` as given to registerLocalFile or any spelling of it. ERR_ADDRESS_NOT_REGISTERED where
    // it is not, or not yet, registered. After another error the file is still registered.
    int unregisterLocalFile(const std::string& path);

    // An addition to Mooncake's interface. While one lives, what the thread that made it registers
    // with registerLocalFile is exported at once and published by publish(): once for all files.
    // One that is made before installTransport() has the segment itself published with its files:
    // else those who wait for a node that was restarted find it without them, take them for gone,
    // and connect while it exports them, so that their kernels look at all of them again for each.
    // Used and destroyed by that thread, while the engine is initialised.
    class FileBatch {
     public:
        explicit FileBatch(TransferEngine& engine);
        ~FileBatch();  // publish(), where that was not called
        FileBatch(const FileBatch&) = delete;
        FileBatch& operator=(const FileBatch&) = delete;

        // Publishes; what is registered afterwards is published one by one again. Files that the
        // store does not take are unregistered: their paths, as registered, are in *refused, and
        // the cause is in the log. ERR_METADATA where the store does not answer: the files stay
        // registered, and are published as soon as it does.
        int publish(std::vector<std::string>* refused);

     private:
        TransferEngine& engine_;
        const std::shared_ptr<TransferMetadata> metadata_;
        std::unique_ptr<TransferMetadata::Gathering> gathering_;  // null without metadata
    };

    // Takes files out of the published record, with one publication, before each of them is
    // unregistered; they are exported until then. An addition to Mooncake's interface. ERR_METADATA
    // where the store does not answer: it follows as soon as it does.
    int withdrawLocalFiles(const std::vector<std::string>& paths);

    // See MultiTransport for the next six.
    BatchID allocateBatchID(size_t batch_size);
    Status freeBatchID(BatchID batch_id);
    Status submitTransfer(BatchID batch_id, const std::vector<TransferRequest>& entries);
    Status getTransferStatus(BatchID batch_id, size_t task_id, TransferStatus& status);
    Status getBatchTransferStatus(BatchID batch_id, TransferStatus& status);
    // An addition to Mooncake's interface: a program that has nothing else to do waits with it
    // between two questions, instead of asking all the time or sleeping too long. Returns after
    // `limit` at the latest, at once where the engine is not initialised. See MultiTransport.
    bool waitForProgress(std::chrono::nanoseconds limit);

    // The instance that serves a protocol, the engine's, valid until it is uninstalled. Null where
    // it is not installed.
    Transport* getTransport(const std::string& proto);
    // What this engine publishes and looks up with. Null before init and after freeEngine.
    std::shared_ptr<TransferMetadata> getMetadata();
    // Fetches the descriptor of one open segment, or of all for an empty name, afresh. ERR_METADATA
    // where one of them cannot be had; it stays as it was then. 0 also where none is open.
    int syncSegmentCache(const std::string& segment_name = "");

 private:
    struct MemoryRegion {
        void* addr;
        size_t length;
        std::string location;
        bool remote_accessible;
        bool settled;  // the transports have it; else somebody is registering or unregistering it
    };
    struct LocalFile {
        FileBufferID id;
        std::string path;  // as it was given
        size_t size;
        LocalFileOptions options;
        bool settled;  // as above
    };

    bool isReady(const char* what_not);
    bool inherited() const;
    bool refusesInherited(const char* what_not) const;
    MultiTransport* ready() const;
    Status notReady() const;
    std::vector<Transport*> fileTransports();
    static int exportFile(Transport* transport, const LocalFile& file);
    int registerFile(const std::string& path, size_t size, FileBufferID* id, bool choose,
                     const LocalFileOptions& options);
    int replayRegistrations(Transport* transport);
    int reserveRegions(const std::vector<BufferEntry>& buffers, const std::string& location,
                       bool remote_accessible);
    int claimRegions(const std::vector<void*>& addresses);
    void settleRegions(const std::vector<void*>& addresses, bool registered);

    // Which process has initialised it (see thisProcess); 0 before. Looked at before any lock: a
    // forked child may find one that a thread of its parent has taken.
    std::atomic<uint64_t> process_{0};

    // Set by init once everything behind it is ready. What it points to lives as long as the
    // engine.
    std::atomic<MultiTransport*> ready_{nullptr};
    std::unique_ptr<MultiTransport> multi_transports_;

    // Shared by registration, exclusive for whatever adds or removes a transport. Held over slow
    // calls; nothing on the data path takes it. Taken before mutex_.
    std::shared_mutex setup_mutex_;

    std::mutex mutex_;  // of everything below
    std::shared_ptr<TransferMetadata> metadata_;
    std::string local_server_name_;
    std::vector<MemoryRegion> local_memory_regions_;
    FileBufferID next_file_id_ = 1;
    std::unique_ptr<NumberSet> chosen_file_ids_;              // by registerLocalFileAs
    std::unordered_map<std::string, LocalFile> local_files_;  // by path, absolute and normalised
};

}  // namespace mooncake
