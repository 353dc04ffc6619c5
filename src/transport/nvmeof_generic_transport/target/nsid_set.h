// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

namespace mooncake::nvmeof_generic {

/// The nsids that a target has ever used, kept as ranges: with ids given out in order, which is
/// what engines do, a target that has exported millions of files in its life still remembers one
/// range.
class NsidSet {
 public:
    bool contains(uint32_t nsid) const {
        const auto after = ranges_.upper_bound(nsid);
        return after != ranges_.begin() && nsid <= std::prev(after)->second;
    }

    void insert(uint32_t nsid) {
        if (contains(nsid)) return;
        uint32_t first = nsid, last = nsid;
        const auto after = ranges_.upper_bound(nsid);
        if (after != ranges_.end() && after->first - 1 == nsid) last = after->second;
        if (after != ranges_.begin() && std::prev(after)->second + 1 == nsid) {
            first = std::prev(after)->first;
        }
        if (last != nsid) ranges_.erase(after);
        ranges_[first] = last;
    }

    size_t ranges() const { return ranges_.size(); }

 private:
    std::map<uint32_t, uint32_t>
        ranges_;  // first to last of each, neither touching nor overlapping
};

}  // namespace mooncake::nvmeof_generic
