// SPDX-License-Identifier: Apache-2.0
// The object store: bytes by key, on the files of all nodes that take part.
//
//   auto client = Client::Create("10.0.0.1:12345", "P2PHANDSHAKE", "nvmeof_generic",
//                                "trtype=tcp adrfam=ipv4 traddr=10.0.0.1 trsvcid=4420",
//                                "etcd://10.0.0.9:2379");
//   (*client)->MountFileSegment("/dev/nvme1n1");
//   std::vector<Slice> slices = {{memory, 1 << 20}};
//   (*client)->Put("key", slices, {});
//   (*client)->Get("key", slices);
//
// Keys have 1 to 4096 bytes of any value, objects 1 byte or more. An object is what a list of
// slices holds, one after the other; it never changes. A get gives the bytes that were put, or an
// error: a checksum is compared each time.
//
// Thread rule: any thread, any number at once; several clients may live in one process. A call
// returns when nothing touches the caller's memory any more, so that one whose node does not answer
// takes as long as the transport lets it (docs/failure-model.md). Nothing throws but
// std::bad_alloc, where there is no memory for the results themselves. After Close(),
// and in a forked child of the process that made the client, every call returns
// UNAVAILABLE_IN_CURRENT_STATUS. Methods that have no counterpart in Mooncake's
// client are marked as additions.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mooncake_store/replica.h"
#include "mooncake_store/types.h"

namespace mooncake {

class TransferEngine;
namespace store {
class ClientCore;
struct ObjectEntry;
}  // namespace store

using ObjectKey = std::string;

// What a client is made of. An addition: Create() with single arguments sets the first five.
struct ClientOptions {
    // This node's name among the others and its segment's: host or host:port, as
    // TransferEngine::init() takes it.
    std::string local_hostname;
    // Where the engine's segments are published, as TransferEngine::init() takes it.
    std::string metadata_server = "P2PHANDSHAKE";
    // The engine's transport.
    std::string protocol = "nvmeof_generic";
    // At which address this node exports its files, "trtype=tcp adrfam=ipv4 traddr=10.0.0.1
    // trsvcid=4420". Empty: it mounts none, and only reads and writes those of others.
    std::string protocol_args;
    // The directory that all nodes of the store agree in: "sqlite:///path" or a path, for the
    // processes of one machine; "etcd://host:port[,host:port...][/store]" or "host:port" for
    // several. Empty: $MC_STORE_DIRECTORY, else /var/lib/mooncake/store.db.
    std::string directory;
    // An engine that the caller has initialised under local_hostname, and whose transport is
    // installed: used, and left as it is. Null: the client makes one. With an engine that was not
    // initialised, the calls that move no bytes work.
    std::shared_ptr<TransferEngine> engine;
    // The machine's name. Copies of an object go to different ones; of several copies one on this
    // machine is read first. Empty: the host of local_hostname, or all of it where that is a
    // loopback host.
    std::string node;
    // A client that is silent for this long counts as gone. 2 s or more.
    std::chrono::milliseconds lease{10000};
    // How long I/O of a client that is gone may still be on its way to a file: twice the
    // transport's bound. Its regions are another's only after lease and bound.
    std::chrono::milliseconds io_bound{30000};
    // Of one call: after that it asks the directory no more and begins no more I/O. What is on its
    // way is waited for.
    std::chrono::milliseconds timeout{30000};
    // How often the directory hears which regions were read.
    std::chrono::milliseconds touch_interval{5000};
    // Entries of objects that are kept in memory, some 250 bytes each.
    size_t cached_entries = 256 << 10;
    // Memory for what cannot go straight from and to the caller's.
    size_t staging_bytes = 16 << 20;
};

// An addition.
struct MountOptions {
    // Takes the file whatever it holds: a file system, another store's objects, a damaged
    // superblock. That is lost then. Without effect on a file of this store.
    bool overwrite = false;
};

// Where an object is, as it was when it was asked for.
class QueryResult {
 public:
    const std::vector<Replica::Descriptor> replicas;
    // Until when Mooncake's store would keep the object. Here nothing depends on it, since every
    // get compares a checksum: it is always in the future.
    const std::chrono::steady_clock::time_point lease_timeout;
    // Bytes. An addition.
    const uint64_t size;

    bool IsLeaseExpired() const noexcept { return false; }
    bool IsLeaseExpired(const std::chrono::steady_clock::time_point&) const noexcept {
        return false;
    }

 private:
    friend class store::ClientCore;
    QueryResult(std::vector<Replica::Descriptor> found, uint64_t bytes,
                std::shared_ptr<const store::ObjectEntry> entry)
        : replicas(std::move(found)),
          lease_timeout(std::chrono::steady_clock::time_point::max()),
          size(bytes),
          entry_(std::move(entry)) {}

    std::shared_ptr<const store::ObjectEntry> entry_;
};

// Counted since the client was made. An addition.
struct ClientStatistics {
    uint64_t gets = 0;  // objects that were asked for
    uint64_t hits = 0;  // of these: right bytes
    // Gets without, by cause.
    uint64_t misses_absent = 0;       // there is no entry
    uint64_t misses_evicted = 0;      // an entry that was remembered, of an object that has gone
    uint64_t misses_unreachable = 0;  // no node serves a file with a copy, or none answers
    uint64_t misses_damaged = 0;      // no copy has the bytes that were put
    uint64_t get_bytes = 0;
    uint64_t puts = 0;      // objects that were given
    uint64_t stored = 0;    // of these: written and committed
    uint64_t existing = 0;  // of these: the key was there
    uint64_t put_bytes = 0;
    uint64_t put_failures = 0;
    uint64_t checksum_failures = 0;  // copies whose bytes were not those that were put
    uint64_t replicas_dropped = 0;   // of these: taken out of their entries
    uint64_t failovers = 0;          // gets that went on with another copy
    uint64_t retried_puts = 0;       // objects that were written again elsewhere
    uint64_t cache_hits = 0;         // entries
    uint64_t cache_misses = 0;
    uint64_t regions_taken = 0;
    uint64_t regions_evicted = 0;
    uint64_t objects_evicted = 0;
    uint64_t objects_moved = 0;   // pinned ones, out of a region that was evicted
    uint64_t regions_sealed = 0;  // of clients that are gone
    uint64_t put_waits = 0;       // puts that found no clean region and made one
    uint64_t leases_lost = 0;
    uint64_t staged_bytes = 0;  // that went through a copy
    uint64_t direct_bytes = 0;  // that went straight from and to the caller's memory
    uint64_t engine_requests = 0;
    uint64_t directory_round_trips = 0;
};

class Client {
 public:
    // Joins the store. Null, with the cause in the log and in LastError(), where the directory does
    // not answer, or the engine cannot be initialised.
    //   local_hostname, metadata_connstring, protocol   see ClientOptions
    //   device_names   protocol_args there
    //   master_server_entry   directory there
    //   transfer_engine   engine there
    static std::optional<std::shared_ptr<Client>> Create(
        const std::string& local_hostname, const std::string& metadata_connstring,
        const std::string& protocol, const std::optional<std::string>& device_names = std::nullopt,
        const std::string& master_server_entry = "",
        const std::shared_ptr<TransferEngine>& transfer_engine = nullptr);
    // The same with all options; an addition. INVALID_PARAMS for what cannot be, RPC_FAIL and
    // RPC_TIMEOUT for a directory that does not answer, INTERNAL_ERROR for the engine.
    static tl::expected<std::shared_ptr<Client>, ErrorCode> Create(const ClientOptions& options);
    // Close().
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    // Ends what is under way, unmounts the files, removes scratch files with their objects, and
    // leaves the store. Waits for calls of other threads. Again: OK. An addition.
    tl::expected<void, ErrorCode> Close();

    // --- Objects. Errors: OBJECT_NOT_FOUND for a miss, whatever its cause but damage;
    // CHECKSUM_MISMATCH where no copy has the bytes that were put; TRANSFER_FAIL where the nodes of
    // all copies fail; INVALID_PARAMS for a key, a list or a buffer that cannot be; RPC_FAIL,
    // RPC_TIMEOUT for the directory.

    // Reads the object into the slices, which may have more room than it has bytes. With less, or
    // where they overlap or somebody else writes to them meanwhile: INVALID_PARAMS. After an error
    // they hold anything.
    tl::expected<void, ErrorCode> Get(const std::string& object_key, std::vector<Slice>& slices);
    // The same in the order of the keys, with one look-up and one submission. A key without slices
    // is INVALID_PARAMS.
    std::vector<tl::expected<void, ErrorCode>> BatchGet(
        const std::vector<std::string>& object_keys,
        std::unordered_map<std::string, std::vector<Slice>>& slices);
    // With what Query() has found: saves the look-up.
    tl::expected<void, ErrorCode> Get(const std::string& object_key,
                                      const QueryResult& query_result, std::vector<Slice>& slices);
    // As many query results as keys. A copy on this machine is always read first.
    std::vector<tl::expected<void, ErrorCode>> BatchGet(
        const std::vector<std::string>& object_keys, const std::vector<QueryResult>& query_results,
        std::unordered_map<std::string, std::vector<Slice>>& slices, bool prefer_same_node = false);
    // As many lists of slices as keys. Gives the objects' sizes in bytes. An addition.
    std::vector<tl::expected<uint64_t, ErrorCode>> BatchGetInto(
        const std::vector<std::string>& object_keys, const std::vector<std::vector<Slice>>& slices);

    // Reads every copy of each object, and compares; those that are damaged are taken out of their
    // objects. As many lists of slices as keys, memory to read into. An addition.
    std::vector<tl::expected<CopyCounts, ErrorCode>> BatchVerify(
        const std::vector<std::string>& object_keys, const std::vector<std::vector<Slice>>& slices);

    tl::expected<QueryResult, ErrorCode> Query(const std::string& object_key);
    std::vector<tl::expected<QueryResult, ErrorCode>> BatchQuery(
        const std::vector<std::string>& object_keys);
    // Of all objects whose keys match (see RemoveByRegex). Reads the whole directory.
    tl::expected<std::unordered_map<std::string, std::vector<Replica::Descriptor>>, ErrorCode>
    QueryByRegex(const std::string& regex);

    // Stores the object. A key that is there already: OK, and nothing changes, unless all its
    // copies are on files that were given up. The object can be read by everybody when the call
    // returns. In a full pool others are evicted for it. NO_AVAILABLE_HANDLE where nothing can be:
    // no node mounts a file, or all is hard pinned. WRITE_FAIL where the nodes that were tried
    // fail, after other nodes were tried, too; LEASE_EXPIRED where this client lost its lease each
    // time. After RPC_TIMEOUT (also where the time was over before anything was written) and
    // RPC_FAIL the object is there, or not, or will be soon; the same put again is right. The
    // memory must not change during the call.
    tl::expected<void, ErrorCode> Put(const ObjectKey& key, std::vector<Slice>& slices,
                                      const ReplicateConfig& config);
    // As many lists as keys. Each object by itself, in one submission and one commit. Of a key that
    // is given several times the last list counts.
    std::vector<tl::expected<void, ErrorCode>> BatchPut(
        const std::vector<ObjectKey>& keys, std::vector<std::vector<Slice>>& batched_slices,
        const ReplicateConfig& config);
    // As BatchPut, and replaces what is there. Another client that remembers the key, because it
    // has put or got it, may get the old bytes until their place has a new content; Query() asks
    // the directory, and a Get() after it reads what that has said. An addition.
    std::vector<tl::expected<void, ErrorCode>> BatchUpsert(
        const std::vector<ObjectKey>& keys, std::vector<std::vector<Slice>>& batched_slices,
        const ReplicateConfig& config);

    // Another client that remembers the key may get the object until its place has a new content.
    tl::expected<void, ErrorCode> Remove(const ObjectKey& key);
    // As many results as keys. An addition.
    std::vector<tl::expected<void, ErrorCode>> BatchRemove(const std::vector<ObjectKey>& keys);
    // Of the objects in a key of which the expression (ECMAScript, as std::regex, without
    // back-references) is found. Gives how many were removed; INVALID_PARAMS for an expression that
    // is none.
    tl::expected<long, ErrorCode> RemoveByRegex(const ObjectKey& regex);
    tl::expected<long, ErrorCode> RemoveAll();

    // Whether the object is there and a node serves a copy of it. Nothing is read.
    tl::expected<bool, ErrorCode> IsExist(const std::string& key);
    std::vector<tl::expected<bool, ErrorCode>> BatchIsExist(const std::vector<std::string>& keys);

    // --- Space

    // Memory is no part of this store: NOT_SUPPORTED.
    tl::expected<void, ErrorCode> MountSegment(const void* buffer, size_t size);
    tl::expected<void, ErrorCode> UnmountSegment(const void* buffer, size_t size);

    // Adds a file or block device to the store, until it is unmounted: all nodes put and get
    // objects there. One that was mounted before brings its objects back. One that holds anything
    // else is refused, see MountOptions. 9 MiB or more. INVALID_PARAMS: there is no such file, it
    // is mounted by this client already, is too small, cannot be opened for writing, or holds
    // something else. SEGMENT_ALREADY_EXISTS: another client that is alive has mounted it, or it is
    // another store's. INVALID_VERSION, FILE_READ_FAIL: its superblock is another version's, or
    // damaged. INTERNAL_ERROR: the engine does not export it.
    tl::expected<void, ErrorCode> MountFileSegment(const std::string& path);
    tl::expected<void, ErrorCode> MountFileSegment(const std::string& path,
                                                   const MountOptions& options);
    // A file of `size` bytes that is made in `folder` and removed by UnmountFileSegment() or
    // Close(), with its objects. Gives its path. What a process that was killed has left of such
    // files in the folder is removed first. An addition.
    tl::expected<std::string, ErrorCode> MountScratchFile(const std::string& folder, uint64_t size);
    // Its objects are unreachable until it is mounted again, here or by another node.
    // INVALID_PARAMS for a path that this client has not mounted.
    tl::expected<void, ErrorCode> UnmountFileSegment(const std::string& path);

    // --- Memory. Nothing needs to be registered; it is passed on to the engine.
    tl::expected<void, ErrorCode> RegisterLocalMemory(void* addr, size_t length,
                                                      const std::string& location,
                                                      bool remote_accessible = true,
                                                      bool update_metadata = true);
    tl::expected<void, ErrorCode> unregisterLocalMemory(void* addr, bool update_metadata = true);

    // --- What is going on

    // The name under which others find this node's files.
    std::string GetTransportEndpoint();
    // One line for people.
    tl::expected<std::string, ErrorCode> GetSummaryMetrics();
    // Appends the text that Prometheus reads.
    tl::expected<void, ErrorCode> SerializeMetrics(std::string& str);
    // Works after Close(), too. An addition.
    ClientStatistics Statistics() const;
    // OK where this client's lease holds and the directory answers. An addition.
    tl::expected<void, ErrorCode> HealthCheck();
    // What, why and what to do about it, of the last call of this thread that failed as a whole, of
    // whatever client. An addition.
    static std::string LastError();

 private:
    explicit Client(std::shared_ptr<store::ClientCore> core);

    const std::shared_ptr<store::ClientCore> core_;
};

}  // namespace mooncake
