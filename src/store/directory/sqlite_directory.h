// SPDX-License-Identifier: Apache-2.0
// A directory in a file of SQLite (WAL mode), for the processes of one machine.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "counters.h"
#include "directory.h"
#include "group_commit.h"
#include "lease_keeper.h"
#include "region_rules.h"
#include "sqlite_connection.h"
#include "sqlite_pool.h"

namespace mooncake::store {

class SqliteDirectory : public Directory {
 public:
    static Result<std::unique_ptr<SqliteDirectory>> open(const std::string& path,
                                                         const DirectoryOptions& options,
                                                         Deadline deadline);
    ~SqliteDirectory() override;

    Uuid storeId() const override { return id_; }
    Result<ClientId> join(const std::string& node, Deadline deadline) override;
    Result<> leave(Deadline deadline) override;
    Lease lease() const override { return keeper_.lease(); }
    Result<std::vector<ClientInfo>> clients(Deadline deadline) override;
    Result<FileInfo> addFile(const FileDescription& description, Deadline deadline) override;
    Result<> mountFile(FileNumber file, const Mount& mount, Deadline deadline) override;
    Result<> unmountFile(FileNumber file, Deadline deadline) override;
    Result<> giveUpFile(FileNumber file, Deadline deadline) override;
    Result<std::vector<FileInfo>> files(Deadline deadline) override;
    Result<std::vector<FreeRegions>> freeRegions(Deadline deadline) override;
    Result<Region> takeRegion(FileNumber file, Deadline deadline) override;
    Result<Region> adoptRegion(RegionId region, Generation generation, Deadline deadline) override;
    Result<> sealRegion(RegionId region, Generation generation, RegionUse use,
                        Deadline deadline) override;
    Result<Region> beginClean(RegionId region, Generation generation, Deadline deadline) override;
    Result<> endClean(RegionId region, Generation generation, Deadline deadline) override;
    Result<std::vector<Region>> regions(FileNumber file, Deadline deadline) override;
    Result<> touch(const std::vector<RegionId>& regions, Deadline deadline) override;
    Result<std::vector<ChangeOutcome>> commit(const std::vector<Change>& changes,
                                              Deadline deadline) override;
    Result<std::vector<std::optional<ObjectEntry>>> lookup(const std::vector<std::string>& keys,
                                                           Deadline deadline) override;
    Result<std::vector<bool>> exists(const std::vector<std::string>& keys,
                                     const ExtentFilter& filter, Deadline deadline) override;
    Result<std::vector<Edit>> edit(const std::vector<std::string>& keys, const Editor& editor,
                                   Deadline deadline) override;
    Result<std::vector<bool>> remove(const std::vector<std::string>& keys,
                                     Deadline deadline) override;
    Result<Page> list(const std::string& prefix, const std::string& from, size_t limit,
                      Deadline deadline) override;
    Result<std::unique_ptr<DirectoryWatch>> watch(Deadline deadline) override;
    Result<> ping(Deadline deadline) override;
    Result<std::vector<Finding>> check(Deadline deadline) override;
    DirectoryStatistics statistics() const override;

 private:
    class Watch;
    // A transaction on a connection of the pool.
    struct Turn;
    using Kind = SqliteRun::Kind;

    SqliteDirectory(std::string path, const DirectoryOptions& options);
    bool isReplaced() const;
    Result<Turn> begin(Kind kind, Deadline deadline);
    template <class T>
    Result<T> finish(Turn* turn, T value);
    Result<> finish(Turn* turn);

    Result<ClientId> self() const;
    bool lives(SqliteRun* run, ClientId client) const;
    uint64_t nextSequence(SqliteRun* run) const;
    std::optional<FileInfo> findFile(SqliteRun* run, FileNumber file) const;
    std::vector<FileInfo> readFiles(SqliteRun* run) const;
    std::optional<RegionRecord> findRegion(SqliteRun* run, RegionId region) const;
    uint64_t writeRegion(SqliteRun* run, RegionId region, const RegionRecord& record) const;
    template <class Rule>
    Result<Region> moveRegion(RegionId region, Deadline deadline, const Rule& rule);
    Result<ChangeOutcomes> runGroup(const std::vector<const Change*>& changes, Deadline deadline);
    Result<BootClock::time_point> renew(ClientId client, Deadline deadline);
    std::optional<ObjectEntry> decode(const std::string& key, std::string_view bytes);
    Result<> lookAt(const std::vector<std::string>& keys, size_t begin, size_t end,
                    const std::function<void(size_t, std::string_view)>& found, Deadline deadline);

    const std::string path_;
    const DirectoryOptions options_;
    const std::string boot_;
    Uuid id_;
    dev_t device_ = 0;  // of the file, as it was opened
    ino_t inode_ = 0;
    Counters counters_;
    SqlitePool writers_;  // one: more would wait for each other
    SqlitePool readers_;
    GroupCommit group_;
    LeaseKeeper keeper_;
};

}  // namespace mooncake::store
