// SPDX-License-Identifier: Apache-2.0
// Regions that were read since the directory was last told.
#pragma once

#include <mutex>
#include <unordered_set>
#include <vector>

#include "ids.h"

namespace mooncake::store {

// Thread rule: any thread.
class TouchedRegions {
 public:
    void add(const std::vector<RegionId>& regions) {
        const std::lock_guard lock(mutex_);
        regions_.insert(regions.begin(), regions.end());
    }
    // What there is, which is forgotten.
    std::vector<RegionId> take() {
        const std::lock_guard lock(mutex_);
        std::vector<RegionId> all(regions_.begin(), regions_.end());
        regions_.clear();
        return all;
    }

 private:
    std::mutex mutex_;
    std::unordered_set<RegionId> regions_;
};

}  // namespace mooncake::store
