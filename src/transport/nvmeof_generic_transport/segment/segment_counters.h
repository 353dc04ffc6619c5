// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "file_counters.h"

namespace mooncake::nvmeof_generic {

/// The counters of a segment's files. Those of files that are gone stay until there are too many;
/// then their sums move to "other". Not thread-safe, the counters themselves are.
class SegmentCounters {
 public:
    /// The counters of a file that was add()ed, or those of all others.
    const std::shared_ptr<FileCounters>& of(uint32_t fileId) const {
        const auto found = files_.find(fileId);
        return found != files_.end() ? found->second : other_;
    }

    /// @param stillThere  whether the segment has a file
    template <class StillThere>
    const std::shared_ptr<FileCounters>& add(uint32_t fileId, StillThere stillThere) {
        if (files_.size() >= kMost && !files_.contains(fileId)) {
            std::erase_if(files_, [&](const auto& entry) {
                // One that is in use may still count.
                if (stillThere(entry.first) || entry.second.use_count() > 1) return false;
                other_->add(*entry.second);
                return true;
            });
        }
        auto& slot = files_[fileId];
        if (!slot) slot = std::make_shared<FileCounters>();
        return slot;
    }

    std::vector<FileStats> read() const {
        std::vector<FileStats> all;
        all.reserve(files_.size() + 1);
        for (const auto& [id, counters] : files_) all.push_back(counters->read(id));
        FileStats other = other_->read(0);
        if (other.reads.latency.count() + other.writes.latency.count() != 0) all.push_back(other);
        return all;
    }

 private:
    // Twice what a subsystem can have.
    static constexpr size_t kMost = 2048;

    std::unordered_map<uint32_t, std::shared_ptr<FileCounters>> files_;
    std::shared_ptr<FileCounters> other_ = std::make_shared<FileCounters>();
};

}  // namespace mooncake::nvmeof_generic
