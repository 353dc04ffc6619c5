// SPDX-License-Identifier: Apache-2.0
// A directory in etcd, for the nodes of a cluster.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "counters.h"
#include "directory.h"
#include "etcd_cluster.h"
#include "etcd_keys.h"
#include "group_commit.h"
#include "lease_keeper.h"
#include "region_rules.h"

namespace mooncake::store {

class EtcdDirectory : public Directory {
 public:
    static Result<std::unique_ptr<EtcdDirectory>> open(const std::string& servers,
                                                       const std::string& store,
                                                       const DirectoryOptions& options,
                                                       Deadline deadline);
    ~EtcdDirectory() override;

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
    // A change on its way, maybe in several transactions.
    struct Pending;
    // Files and mounts as of one revision.
    struct State {
        int64_t revision = 0;
        std::map<FileNumber, FileInfo> files;
    };
    friend class EtcdWatch;

    EtcdDirectory(std::unique_ptr<EtcdCluster> cluster, const std::string& store,
                  const DirectoryOptions& options, std::unique_ptr<Counters> counters);
    Result<ClientId> self() const;
    Result<State> readState(Deadline deadline);
    template <class Rule>
    Result<Region> moveRegion(RegionId region, Deadline deadline, const Rule& rule);
    void own(RegionId region, const RegionRecord& record);
    void disown(RegionId region);
    Result<BootClock::time_point> renew(ClientId client, Deadline deadline);
    std::optional<ObjectEntry> decode(std::string_view key, std::string_view bytes);
    // Gets or counts all keys, and tells of each that is there, in any order.
    Result<> readAll(const std::vector<std::string>& keys, bool count_only,
                     const std::function<void(size_t, const rpc::RangeResponse&)>& found,
                     Deadline deadline);
    Result<ChangeOutcomes> runGroup(const std::vector<const Change*>& changes, Deadline deadline);
    Result<> sendRound(std::vector<Pending*>* pending, ChangeOutcomes* outcomes, Deadline deadline);
    Result<> findStale(const std::vector<Pending*>& there, std::vector<Pending*>* pending,
                       ChangeOutcomes* outcomes, Deadline deadline);

    const std::unique_ptr<Counters> counters_;
    const std::unique_ptr<EtcdCluster> cluster_;
    const EtcdKeys keys_;
    const DirectoryOptions options_;
    Uuid id_;
    std::mutex mutex_;
    // The records of regions that this client writes, byte by byte; guarded by mutex_.
    std::unordered_map<RegionId, std::string> owned_;
    GroupCommit group_;
    LeaseKeeper keeper_;
};

}  // namespace mooncake::store
