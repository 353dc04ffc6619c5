// SPDX-License-Identifier: Apache-2.0
// Where a directory's records are kept: what BackedDirectory needs of a database or server to make
// a Directory of it. Calls, deadlines and errors are as in directory.h; what is the same for every
// directory (who this client is, the rules of regions, gathered commits) is not here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "boot_clock.h"
#include "directory.h"
#include "region_rules.h"

namespace mooncake::store {

class ClientRecords {
 public:
    struct Joined {
        ClientId client = 0;
        BootClock::time_point end;  // of its lease, if it is not renewed
    };

    virtual ~ClientRecords() = default;
    virtual Result<Joined> add(const std::string& node, Deadline deadline) = 0;
    // What it has mounted goes with it.
    virtual Result<> remove(ClientId client, Deadline deadline) = 0;
    // @return until when the lease holds; kLeaseLost where there is none any more
    virtual Result<BootClock::time_point> renew(ClientId client, Deadline deadline) = 0;
    virtual Result<std::vector<ClientInfo>> list(Deadline deadline) = 0;
};

class FileRecords {
 public:
    virtual ~FileRecords() = default;
    virtual Result<FileInfo> add(const FileDescription& description, Deadline deadline) = 0;
    // @param mount  its client is the one that mounts
    virtual Result<> mount(FileNumber file, const Mount& mount, Deadline deadline) = 0;
    virtual Result<> unmount(ClientId client, FileNumber file, Deadline deadline) = 0;
    virtual Result<> giveUp(FileNumber file, Deadline deadline) = 0;
    virtual Result<std::vector<FileInfo>> list(Deadline deadline) = 0;
    virtual Result<std::vector<FreeRegions>> freeRegions(Deadline deadline) = 0;
};

class RegionRecords {
 public:
    // What becomes of a region. May be asked several times.
    using Rule =
        std::function<NextRegion(const std::optional<RegionRecord>& now, bool owner_lives)>;

    virtual ~RegionRecords() = default;
    virtual Result<Region> take(ClientId client, FileNumber file, Deadline deadline) = 0;
    // Reads the record and writes what the rule makes of it, in one step.
    virtual Result<Region> move(ClientId client, RegionId region, const Rule& rule,
                                Deadline deadline) = 0;
    virtual Result<std::vector<Region>> list(FileNumber file, Deadline deadline) = 0;
    virtual Result<> touch(const std::vector<RegionId>& regions, Deadline deadline) = 0;
};

class EntryRecords {
 public:
    // The entry's bytes, or none where only existence was asked for. May be called from several
    // threads at once, for different keys.
    using Found = std::function<void(size_t at, std::string_view entry)>;
    enum class Need { kExistence, kEntry };

    virtual ~EntryRecords() = default;
    // How many changes set() takes at most.
    virtual size_t groupLimit() const = 0;
    // Sets entries of different keys for that client.
    virtual Result<ChangeOutcomes> set(ClientId client, const std::vector<const Change*>& changes,
                                       Deadline deadline) = 0;
    // Tells of each key that is there, in any order.
    virtual Result<> read(const std::vector<std::string>& keys, Need need, const Found& found,
                          Deadline deadline) = 0;
    virtual Result<std::vector<Edit>> edit(const std::vector<std::string>& keys,
                                           const Directory::Editor& editor, Deadline deadline) = 0;
    virtual Result<std::vector<bool>> remove(const std::vector<std::string>& keys,
                                             Deadline deadline) = 0;
    virtual Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                              Deadline deadline) = 0;
};

class DirectoryBackend {
 public:
    virtual ~DirectoryBackend() = default;
    virtual Uuid storeId() const = 0;
    virtual ClientRecords& clients() = 0;
    virtual FileRecords& files() = 0;
    virtual RegionRecords& regions() = 0;
    virtual EntryRecords& entries() = 0;
    virtual std::unique_ptr<DirectoryWatch> watch() = 0;
    virtual Result<> ping(Deadline deadline) = 0;
    virtual Result<std::vector<Finding>> check(Deadline deadline) = 0;
};

}  // namespace mooncake::store
