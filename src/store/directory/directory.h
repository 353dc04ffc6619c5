// SPDX-License-Identifier: Apache-2.0
// What all nodes of a store agree on: who is there, which files there are and where, whose each
// region is, and where each object lies.
//
// Every call may be made from any thread, returns at its deadline at the latest, and may be
// repeated: a call that failed with kTimeout or kUnavailable has happened, or will happen, or not,
// and the same call again comes to the same end as if it had been made once. A deadline bounds
// waiting; a call that has passed it has done no more than it said.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "directory_types.h"
#include "error.h"

namespace mooncake::store {

struct DirectoryOptions {
    // A client that is silent for this long is gone. At least 2 s.
    std::chrono::milliseconds lease{10000};
    // How long one server is waited for before the next one is asked (etcd).
    std::chrono::milliseconds attempt{3000};
    // The id of the store whose directory is made, where there is none yet. None: a new one.
    std::optional<Uuid> new_store = std::nullopt;
    // Whether a directory is made where there is none.
    bool may_make = true;
};

// Tells what has changed. For one thread at a time; ends before its directory does.
class DirectoryWatch {
 public:
    virtual ~DirectoryWatch() = default;
    // Waits until there is something. The first time it is all files at once; later it is what has
    // changed, or all files again where what lay between cannot be told. Empty at the deadline.
    // After an error the next call goes on where this one was.
    virtual Result<Changes> next(Deadline deadline) = 0;
};

class Directory {
 public:
    using ExtentFilter = std::function<bool(const Extent&)>;
    // Changes the entry or says that it goes. A key may be shown several times.
    using Editor = std::function<Edit(std::string_view key, ObjectEntry* entry)>;

    // Opens the directory and makes it if there is none, unless the options say otherwise:
    // kNotFound then.
    // @param address  "sqlite:" and a path, or a path; else etcd: "etcd://" (may be missing), host
    //     and port of each server apart by commas or semicolons, each with or without https://, and
    //     a store's name after a slash where one etcd serves several
    // kInvalid for a malformed address; kUnsupported for a directory of another version, and for a
    // network file system; kRefused for a login or a right that is missing.
    static Result<std::unique_ptr<Directory>> open(const std::string& address,
                                                   const DirectoryOptions& options,
                                                   Deadline deadline);
    // The lease is given back if that is quick.
    virtual ~Directory() = default;
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    // Made with the directory; the superblocks of its files say it.
    virtual Uuid storeId() const = 0;

    // --- Clients

    // Makes this directory object a client, with a lease that is kept alive until leave(). Only a
    // client mounts files and writes. Again after the lease was lost: a new client.
    virtual Result<ClientId> join(const std::string& node, Deadline deadline) = 0;
    // Ends the lease. Regions that are open stay so, for somebody to seal.
    virtual Result<> leave(Deadline deadline) = 0;
    // Takes no time.
    virtual Lease lease() const = 0;
    // Those whose lease holds. Who is not there writes no more once the transport's bound on I/O in
    // flight has passed, too.
    virtual Result<std::vector<ClientInfo>> clients(Deadline deadline) = 0;

    // --- Files

    // Gives a number to the file, or tells the one that it has. kInvalid if the uuid is known with
    // another description.
    virtual Result<FileInfo> addFile(const FileDescription& description, Deadline deadline) = 0;
    // Tells how this client serves the file; ends with its lease. kConflict while another client
    // that is alive serves it, kNotFound for a number that is none or was given up.
    virtual Result<> mountFile(FileNumber file, const Mount& mount, Deadline deadline) = 0;
    virtual Result<> unmountFile(FileNumber file, Deadline deadline) = 0;
    // The file will not come back. Its objects' entries may be replaced; its uuid gets another
    // number if it is seen again. kConflict while it is mounted.
    virtual Result<> giveUpFile(FileNumber file, Deadline deadline) = 0;
    virtual Result<std::vector<FileInfo>> files(Deadline deadline) = 0;
    // How many regions can be taken, for every active file. Cheap.
    virtual Result<std::vector<FreeRegions>> freeRegions(Deadline deadline) = 0;
    // Reads the records of all regions of the file.
    Result<FileUse> usage(FileNumber file, Deadline deadline);

    // --- Regions

    // Makes a clean region of the file this client's. kNoSpace if there is none.
    virtual Result<Region> takeRegion(FileNumber file, Deadline deadline) = 0;
    // Makes this region, which the directory never gave to anybody, this client's, of that
    // generation: to make a lost directory again. kConflict if it was given to somebody.
    virtual Result<Region> adoptRegion(RegionId region, Generation generation,
                                       Deadline deadline) = 0;
    // Ends writing: this client's own, or one whose writer is gone. kConflict if the writer is
    // alive, or the region is of another state or generation. A region that is sealed already
    // stays as it is, and that is success.
    virtual Result<> sealRegion(RegionId region, Generation generation, RegionUse use,
                                Deadline deadline) = 0;
    // Raises the generation of a sealed region, which makes all entries with the old one invalid;
    // this client then removes them (dropOlder) and calls endClean. Also for one that another
    // client began to clean, and is gone: that one's generation stays.
    // @param generation  as last seen; kConflict if it is another one
    virtual Result<Region> beginClean(RegionId region, Generation generation,
                                      Deadline deadline) = 0;
    // The region can be taken. @param generation  what beginClean gave
    virtual Result<> endClean(RegionId region, Generation generation, Deadline deadline) = 0;
    // Those that were ever taken.
    virtual Result<std::vector<Region>> regions(FileNumber file, Deadline deadline) = 0;
    // They have been read.
    virtual Result<> touch(const std::vector<RegionId>& regions, Deadline deadline) = 0;

    // --- Objects

    // Sets entries, each by itself: what becomes of one does not depend on the others, and all
    // calls that are under way share transactions. An entry is set only if every region of its
    // extents (of those that `before` has not) is open and this client's, of that generation.
    // After an error each of them may have been set or not; its extents stay spoken for until the
    // region's generation has gone up. kLeaseLost for who is no client.
    virtual Result<std::vector<ChangeOutcome>> commit(const std::vector<Change>& changes,
                                                      Deadline deadline) = 0;
    // Entries in the order of the keys. A damaged entry counts as none (see statistics()).
    virtual Result<std::vector<std::optional<ObjectEntry>>> lookup(
        const std::vector<std::string>& keys, Deadline deadline) = 0;
    // Whether there is an entry, for each key. With a filter: one with a replica of which it lets
    // every extent pass.
    virtual Result<std::vector<bool>> exists(const std::vector<std::string>& keys,
                                             const ExtentFilter& filter, Deadline deadline) = 0;
    // Lets `editor` change entries, each in one step with its reading.
    // @return what came of each; kKeep where there is none
    virtual Result<std::vector<Edit>> edit(const std::vector<std::string>& keys,
                                           const Editor& editor, Deadline deadline) = 0;
    // @return for each key whether there was an entry
    virtual Result<std::vector<bool>> remove(const std::vector<std::string>& keys,
                                             Deadline deadline) = 0;
    // Objects whose keys begin with `prefix`, from the key `from` on ("" or Page::next), at most
    // `limit` of them and at least one where there is one. A damaged entry is left out.
    virtual Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                              Deadline deadline) = 0;
    // Removes the objects whose keys begin with `prefix` and for which `matches` is true.
    // @return how many
    Result<uint64_t> removeMatching(
        const std::string& prefix,
        const std::function<bool(std::string_view, const ObjectEntry&)>& matches,
        Deadline deadline);
    // Takes out of the entries every replica with an extent in the region that is older than
    // `generation`, and removes the entries that have no other one.
    Result<> dropOlder(const std::vector<std::string>& keys, RegionId region, Generation generation,
                       Deadline deadline);
    // Takes a bad replica out of an entry, and removes the entry if it was the last one. Does
    // nothing if the entry has no such replica.
    Result<> dropReplica(const std::string& key, const Replica& bad, Deadline deadline);

    // --- What is going on

    virtual Result<std::unique_ptr<DirectoryWatch>> watch(Deadline deadline) = 0;
    // One round trip, to see whether the directory answers.
    virtual Result<> ping(Deadline deadline) = 0;
    // What an operator should know of the directory's server or database.
    virtual Result<std::vector<Finding>> check(Deadline deadline) = 0;
    // Since this object was made.
    virtual DirectoryStatistics statistics() const = 0;

 protected:
    Directory() = default;
};

}  // namespace mooncake::store
