// SPDX-License-Identifier: Apache-2.0
// Regions in etcd.
#pragma once

#include <vector>

#include "directory_backend.h"
#include "etcd_owned_regions.h"
#include "etcd_store.h"

namespace mooncake::store {

class EtcdRegions : public RegionRecords {
 public:
    EtcdRegions(const EtcdStore* store, EtcdOwnedRegions* owned) : store_(store), owned_(owned) {}

    Result<Region> take(ClientId client, FileNumber file, Deadline deadline) override;
    Result<Region> move(ClientId client, RegionId region, const Rule& rule,
                        Deadline deadline) override;
    Result<std::vector<Region>> list(FileNumber file, Deadline deadline) override;
    Result<> touch(const std::vector<RegionId>& regions, Deadline deadline) override;

 private:
    const EtcdStore* const store_;
    EtcdOwnedRegions* const owned_;
};

}  // namespace mooncake::store
