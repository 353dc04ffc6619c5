// SPDX-License-Identifier: Apache-2.0
// The records of the regions that this client writes, byte by byte as they stand in etcd, for
// commits to compare.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

#include "record_codec.h"

namespace mooncake::store {

// For any thread.
class EtcdOwnedRegions {
 public:
    // What another client of this process had is forgotten.
    void add(RegionId region, const RegionRecord& record) {
        const std::lock_guard lock(mutex_);
        if (record.owner != client_) records_.clear();
        client_ = record.owner;
        records_[region] = encodeRegion(record);
    }
    void remove(RegionId region) {
        const std::lock_guard lock(mutex_);
        records_.erase(region);
    }
    // Empty where the region is not this client's, of that generation.
    std::string find(ClientId client, RegionId region, Generation generation) const {
        const std::lock_guard lock(mutex_);
        const auto found = records_.find(region);
        if (found == records_.end()) return "";
        const auto record = decodeRegion(found->second);
        const bool same = record && record->owner == client && record->generation == generation;
        return same ? found->second : "";
    }

 private:
    mutable std::mutex mutex_;
    ClientId client_ = 0;
    std::unordered_map<RegionId, std::string> records_;
};

}  // namespace mooncake::store
