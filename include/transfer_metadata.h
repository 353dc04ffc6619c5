// SPDX-License-Identifier: Apache-2.0
// TransferMetadata: what segments there are and what files they hold, kept in a store that all
// nodes share.
#pragma once

#include <netdb.h>

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

#include "common.h"
#include "common/base/status.h"
#include "topology.h"

namespace mooncake {

// The connection string of nodes that hold their descriptors themselves.
#define P2PHANDSHAKE "P2PHANDSHAKE"

class FileNumbers;
class MetadataKeys;
class MetadataStorage;
class NamedLogPace;
class RecordKeeper;

// Every public function may be called from any thread at any time. Those that talk to the store say
// so; they take as long as the store does (bounded, see store_limits.h) and hold nothing that a
// look-up in the cache waits for.
//
// In a process that was forked off the one that made the object every function returns its error,
// and the destructor touches nothing outside the process.
//
// What was published stays so: a thread of this object looks after it every few seconds and
// publishes it again where the store has lost it. Each object has a random incarnation, which
// stands in what it publishes. An entry under which another process has published since is left to
// that process, is not removed with this one's, and cannot be published again as long as it is
// there.
class TransferMetadata {
 public:
    // The next three describe memory segments. They are here for programs that name them; file
    // segments leave them empty, and they are neither published nor read.
    struct DeviceDesc {
        std::string name;
        uint16_t lid = 0;
        std::string gid;
    };
    struct BufferDesc {
        std::string name;
        uint64_t addr = 0;
        uint64_t length = 0;
    };

    // Identifies a file within its segment: the number of a file, from 1 to 2^32-2; 0 is no file.
    // The numbers of another segment's files are those of this object: a file has the one that its
    // node published when this object saw it first, or, where that had been another file's here, a
    // new one; and it keeps it, whatever number its node gives it later. No number ever means
    // another file, however often a descriptor is fetched.
    using FileBufferID = uint32_t;

    struct FileBufferDesc {
        FileBufferID id = 0;
        std::string path;       // on the node that registered it
        std::size_t size = 0;   // bytes that can be read and written
        std::size_t align = 0;  // bytes; 0 where the transport asks for none
        // An addition to Mooncake's, as what follows: what makes it this file and no other,
        // whatever its name and number; published. 36 characters, hexadecimal digits and hyphens;
        // empty where its node does not say.
        std::string uuid{};
        // Of another segment's file: the number under which its node exports it now; 0: id. Not
        // published.
        FileBufferID nsid = 0;
        // Whether requests may name it by nsid, too: no other file has had that number here.
        bool nsid_is_its_too = false;
    };

    // Where the files of a segment of protocol "nvmeof_generic" are exported. Present in every
    // build: a program compiled without USE_NVMEOF_GENERIC sees the same layout.
    struct NVMeoFGenericTrid {
        std::string trtype;
        std::string adrfam;
        std::string traddr;
        std::string trsvcid;
        std::string subnqn;
    };

    using SegmentID = uint64_t;

    struct SegmentDesc {
        std::string name;
        std::string protocol;
        std::vector<DeviceDesc> devices;
        Topology topology;
        std::vector<BufferDesc> buffers;
        std::vector<FileBufferDesc> file_buffers;
        std::string
            timestamp;  // of the last publication, UTC; for people, nothing is decided by it
        NVMeoFGenericTrid nvmeof_generic_trid;
        int tcp_data_port = 0;
        // Random, of the publishing process; empty in what Mooncake's nodes publish.
        std::string incarnation;
        // Of the process that exports: this start of its machine, and its network namespace. What
        // only they can reach (127.0.0.1) is of no use to others. Optional.
        std::string machine;
        // Of the process that exports: this start of its machine's kernel. Optional.
        std::string kernel;
        // All addresses of the subsystem, nvmeof_generic_trid first, where it has several; empty
        // where that is the only one. Optional.
        std::vector<NVMeoFGenericTrid> nvmeof_generic_trids;
    };

    struct RpcMetaDesc {
        std::string ip_or_host_name;
        uint16_t rpc_port = 0;
        int sockfd = -1;               // not published
        std::string incarnation = {};  // as in SegmentDesc; what is published is the process's own
    };

    // What Transport's type names stand for; nothing here sends them.
    struct HandShakeDesc {
        std::string local_nic_path;
        std::string peer_nic_path;
        std::string reply_msg;
    };
    struct NotifyDesc {
        std::string name;
        std::string notify_msg;
    };

    // Where the entry of a process that has not removed it is found under the name of this node:
    // whether that process is asked, through the entry, if it still runs.
    enum class NameInUse {
        kTakeOver,  // no: its entries are replaced, with a line in the log
        kRefuse,    // yes: if it does, this node gets nothing; if not, it goes on
    };

    // What getSegmentID returns for a segment that cannot be found.
    static constexpr SegmentID kInvalidSegmentID = UINT64_MAX;

    // `conn_string` names the store: http://host:port/metadata, https://..., etcd://host:port or
    // just host:port (also several, apart by commas), redis://host:port (with MC_REDIS_USERNAME,
    // MC_REDIS_PASSWORD and MC_REDIS_DB_INDEX), or P2PHANDSHAKE for none. Anything else, and a
    // store that this build was made without, leaves an object whose status() tells what is wrong
    // and whose every network call fails with ERR_METADATA. Does not connect yet.
    explicit TransferMetadata(const std::string& conn_string);
    // With a store of the caller's, never null. What is published is looked after every
    // `check_interval`, 0 for never.
    explicit TransferMetadata(
        std::shared_ptr<MetadataStorage> storage,
        std::chrono::milliseconds check_interval = std::chrono::milliseconds(0));
    // Leaves what is published in the store: see removePublished.
    ~TransferMetadata();
    TransferMetadata(const TransferMetadata&) = delete;
    TransferMetadata& operator=(const TransferMetadata&) = delete;

    // OK, or why this object cannot reach any store.
    const Status& status() const { return status_; }

    // The descriptor of an open segment: from the cache, or with `force_update` (never for the
    // local segment) from the store, which then replaces the cached one. Null, with the cause in
    // the log, where the id is unknown or the store does not deliver; what was cached then stays.
    // The object returned is never changed afterwards.
    std::shared_ptr<SegmentDesc> getSegmentDescByID(SegmentID segment_id,
                                                    bool force_update = false);

    // The same by name; a name that is not in the cache is fetched and cached, as getSegmentID
    // does.
    std::shared_ptr<SegmentDesc> getSegmentDescByName(const std::string& segment_name,
                                                      bool force_update = false);

    // Changes whenever an id comes to mean another segment, or none, or its protocol changes: what
    // was concluded of its descriptor before has to be concluded anew. Sequentially consistent: who
    // reads a value and then the descriptor has one that is no older.
    uint64_t routeVersion() const { return route_version_.load(); }

    // Fetches a descriptor from the store, past the cache. Null and a log line on failure.
    std::shared_ptr<SegmentDesc> getSegmentDesc(const std::string& segment_name);

    // The id under which this process knows the segment, the same for each call; the local segment
    // is LOCAL_SEGMENT_ID. The first call, and the first after closeSegment, fetches the
    // descriptor. kInvalidSegmentID and a log line where that fails.
    SegmentID getSegmentID(const std::string& segment_name);

    // The next getSegmentID of this segment fetches its descriptor afresh and keeps the id.
    // ERR_INVALID_ARGUMENT for an id that is not open.
    int closeSegment(SegmentID segment_id);

    // Fetches the descriptor of one open segment, or of all for an empty name. ERR_METADATA if one
    // of them failed; the cached one then stays.
    int syncSegmentCache(const std::string& segment_name);

    // Makes a copy of `desc` the descriptor of `segment_id` (LOCAL_SEGMENT_ID for one's own) in the
    // cache, and lets go of `desc`; publishes nothing. ERR_INVALID_ARGUMENT for null or a name that
    // cannot be part of a key.
    int addLocalSegment(SegmentID segment_id, const std::string& segment_name,
                        std::shared_ptr<SegmentDesc>&& desc);

    // Forgets the segment in the cache; the store keeps what it has. 0 also where there was none.
    int removeLocalSegment(const std::string& segment_name);

    // Publishes a local segment as it is now. Concurrent calls are put in order, so that an older
    // state is never published after a newer one. ERR_INVALID_ARGUMENT without such a segment,
    // ERR_METADATA if the store fails or another process has taken the name. In a thread that
    // gathers (Gathering), the local segment LOCAL_SEGMENT_ID is published with what is gathered,
    // and how that went is said there.
    int updateLocalSegmentDesc(SegmentID segment_id = LOCAL_SEGMENT_ID);

    // Publishes `desc` under a name, past the cache. ERR_METADATA if the store fails.
    int updateSegmentDesc(const std::string& segment_name, const SegmentDesc& desc);

    // Removes from the store, not from the cache, what this object published under a name; what
    // another process has published there stays. 0 also where there was nothing.
    int removeSegmentDesc(const std::string& segment_name);

    // Adds a file to the local segment and, if asked, publishes it: what several threads add at a
    // time is published at once, and what one thread adds one after the other it gathers with
    // Gathering. A failure leaves the local segment as it was (the store may show the file for a
    // while if its answer was lost).
    // ERR_INVALID_ARGUMENT without a local segment or for a bad description, ERR_ADDRESS_OVERLAPPED
    // for an id that is there already, ERR_METADATA if the store fails.
    int addFileBuffer(const FileBufferDesc& buffer_desc, bool update_metadata);

    // Takes a file out of the local segment and, if asked, publishes that. With ERR_METADATA the
    // file is gone locally and the store still shows it until it answers again.
    // ERR_ADDRESS_NOT_REGISTERED where there is no such file.
    int removeFileBuffer(FileBufferID id, bool update_metadata);

    // Takes several files out and publishes that once. ERR_METADATA as with one;
    // ERR_ADDRESS_NOT_REGISTERED where none of them is there.
    int removeFileBuffers(const std::vector<FileBufferID>& ids, bool update_metadata = true);

    // While one lives, what the thread that made it adds, removes and updates is in the local
    // segment at once and published by publish(): the record, which is written as a whole each
    // time, is written once for all files. Used and destroyed by that thread, before the metadata
    // is.
    class Gathering {
     public:
        explicit Gathering(TransferMetadata& metadata);
        ~Gathering();  // publish()
        Gathering(const Gathering&) = delete;
        Gathering& operator=(const Gathering&) = delete;

        // Publishes what was gathered; what comes after it is published one by one again. *refused
        // receives the files that are not in the local segment any more because the store does not
        // take the record with them. ERR_METADATA where the store does not answer: the files stay,
        // and are published as soon as it does.
        int publish(std::vector<FileBufferID>* refused);

     private:
        friend class TransferMetadata;
        TransferMetadata& metadata_;
        Gathering* const outer_;  // of this thread, for whatever metadata
        bool open_ = true;
        bool changed_ = false;
        std::vector<FileBufferDesc> added_;
    };

    // Publishes where this process answers. With P2PHANDSHAKE, which has nowhere to publish that,
    // it begins to answer there, and desc.rpc_port receives the port where it is 0; ERR_SOCKET
    // where it cannot. The first time, what another process has left under the name is taken over,
    // or not: see NameInUse, which holds for the descriptor of the segment as well.
    // ERR_ADDRESS_OVERLAPPED where it is not, ERR_METADATA if the store fails.
    int addRpcMetaEntry(const std::string& server_name, RpcMetaDesc& desc,
                        NameInUse name_in_use = NameInUse::kTakeOver);
    // 0 also where there was none.
    int removeRpcMetaEntry(const std::string& server_name);
    // Asks the store each time. ERR_METADATA where there is no entry, a malformed one, or the store
    // fails.
    int getRpcMetaEntry(const std::string& server_name, RpcMetaDesc& desc);
    // How the publications of the local segment's descriptor went, those included that this object
    // makes by itself. Talks to no store.
    struct Publications {
        bool current = false;  // whether the store has what it is to have, as far as is known
        uint64_t succeeded = 0;
        uint64_t failed = 0;
        std::chrono::steady_clock::time_point last{};  // that succeeded
    };
    Publications publications() const;

    // What addRpcMetaEntry was last given.
    RpcMetaDesc localRpcMeta() const;

    // Removes from the store whatever this object published and did not remove. ERR_METADATA if an
    // entry stays.
    int removePublished();

 private:
    struct CachedSegment {
        std::shared_ptr<SegmentDesc> desc;
        std::string name;     // the name it was asked for by
        uint64_t fetch = 0;   // number of the fetch that delivered desc
        bool closed = false;  // the next getSegmentID fetches afresh
    };

    // Whether another process made this object: asked before any lock is taken, which a thread of
    // that one may have held.
    bool inherited() const;
    std::shared_ptr<SegmentDesc> localDesc(SegmentID segment_id) const;
    void numberFiles(const std::string& segment_name, SegmentDesc* desc);
    std::shared_ptr<SegmentDesc> fetchAndCache(const std::string& segment_name,
                                               SegmentID* segment_id);
    template <typename Change>
    int changeLocalDesc(const Change& change, uint64_t* number = nullptr);
    Gathering* gathering();
    void takeBack(const std::vector<FileBufferDesc>& files);
    int publishUpTo(uint64_t change, bool insist);
    int publish(SegmentID segment_id, bool insist);
    int publishDesc(const std::string& segment_name, const SegmentDesc& desc, bool insist);
    int publishGathered(const std::vector<FileBufferDesc>& added,
                        std::vector<FileBufferID>* refused);
    int removeKey(const std::string& key, const std::string& what);

    const uint64_t process_;  // see thisProcess
    // Read with each submission: it lies among what nobody writes. Changed with segment_lock_ held.
    std::atomic<uint64_t> route_version_{1};
    Status status_;
    const std::string incarnation_;
    std::shared_ptr<MetadataStorage> storage_;
    std::unique_ptr<const MetadataKeys> keys_;

    // Held for look-ups and swaps of pointers only, never over a system call.
    mutable std::shared_mutex segment_lock_;
    std::unordered_map<SegmentID, CachedSegment> segments_;
    std::unordered_map<std::string, SegmentID> segment_ids_;
    SegmentID next_segment_id_ = LOCAL_SEGMENT_ID + 1;
    RpcMetaDesc local_rpc_meta_;
    uint64_t changes_ = 0;  // of the local segment

    // Puts publications in order; held while the store is talked to. Taken before segment_lock_.
    std::mutex publish_mutex_;
    // Guarded by publish_mutex_.
    uint64_t published_ = 0;  // the last change of the local segment that is
    bool refused_ = false;  // whether the store, which answered, did not take the last publication

    // By name: also of segments that are not open any more. Held for no system call.
    std::mutex numbers_mutex_;
    std::unordered_map<std::string, std::unique_ptr<FileNumbers>> numbers_;

    // Numbers the fetches: of two that cross, the one that began later holds the newer descriptor.
    std::atomic<uint64_t> fetch_count_{0};

    std::unique_ptr<NamedLogPace> lookups_;  // that failed, by name

    // Talks to the store for whatever is published. The last member: its thread uses the others.
    std::unique_ptr<RecordKeeper> keeper_;
};

}  // namespace mooncake
