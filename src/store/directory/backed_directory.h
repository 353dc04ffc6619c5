// SPDX-License-Identifier: Apache-2.0
// A directory, wherever its records are kept: who this client is, the rules of regions, gathered
// commits, and the counts are here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "counters.h"
#include "directory.h"
#include "directory_backend.h"
#include "entry_reader.h"
#include "group_commit.h"
#include "lease_keeper.h"

namespace mooncake::store {

class BackedDirectory : public Directory {
 public:
    // @param counters  those that the backend counts with
    BackedDirectory(std::unique_ptr<Counters> counters, std::unique_ptr<DirectoryBackend> backend,
                    const DirectoryOptions& options);
    ~BackedDirectory() override;

    Uuid storeId() const override { return backend_->storeId(); }
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
    Result<ClientId> self() const;
    template <class Rule>
    Result<Region> moveRegion(RegionId region, Deadline deadline, const Rule& rule);
    Result<ChangeOutcomes> runGroup(const std::vector<const Change*>& changes, Deadline deadline);
    void countLooks(size_t looked_up, uint64_t found);

    const std::unique_ptr<Counters> counters_;
    const EntryReader reader_;
    const std::unique_ptr<DirectoryBackend> backend_;
    GroupCommit group_;
    LeaseKeeper keeper_;
};

}  // namespace mooncake::store
