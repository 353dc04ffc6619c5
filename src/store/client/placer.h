// SPDX-License-Identifier: Apache-2.0
// Which files the copies of a batch of objects go to.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "file_table.h"
#include "mooncake_store/replica.h"
#include "placement.h"

namespace mooncake::store {

// Of one batch; one thread.
class Placer {
 public:
    // @param seed  of the random numbers
    Placer(std::shared_ptr<const FileMap> files, const ReplicateConfig& config, uint64_t seed);

    // Whether there are files of as many nodes as copies are asked for, and of those that are
    // preferred.
    bool hasAllThatIsWanted() const;
    // Bytes of all files that are served, full or not.
    uint64_t capacity() const { return capacity_; }
    // For each copy of an object a file of another node, and for its further ones what is left; see
    // Placement.
    std::vector<const KnownFile*> choose(uint64_t object_bytes);
    // Adds the file, unless it is the last one already.
    void addFile(FileNumber file, std::vector<const KnownFile*>* files) const;
    // Whether one of these is of the same node.
    static bool isNodeOfOne(const KnownFile& file, const std::vector<const KnownFile*>& others);
    // A file of a node that has none of these, or null.
    // @param node  that is taken first; empty: none
    const KnownFile* another(const std::vector<const KnownFile*>& besides, uint64_t object_bytes,
                             const std::string& node = {});
    // The file has no room, or does not work: it is not chosen any more.
    void exclude(FileNumber file);
    // Those that had no room may have some again.
    void clearExcluded();

 private:
    void fill();
    std::vector<const KnownFile*> choose(uint64_t object_bytes, const Wish& wish,
                                         const std::vector<FileRoom>& rooms);

    const std::shared_ptr<const FileMap> files_;
    Placement placement_;
    uint32_t copies_;
    std::vector<std::string> preferred_;  // nodes
    bool knows_preferred_ = true;
    uint64_t capacity_ = 0;
    std::set<FileNumber> excluded_;
    std::vector<FileRoom> rooms_;
};

}  // namespace mooncake::store
