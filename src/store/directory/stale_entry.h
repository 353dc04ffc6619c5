// SPDX-License-Identifier: Apache-2.0
// Whether an object can ever be read again.
#pragma once

#include <algorithm>
#include <optional>

#include "directory_types.h"
#include "object_entry.h"

namespace mooncake::store {

// Nobody will ever read the file's bytes again.
inline bool isGone(const std::optional<FileInfo>& file) {
    return !file || file->state == FileState::kGivenUp ||
           (file->description.scratch && !file->mount);
}

// @param file_gone  (FileNumber) -> bool
// @param generation  (RegionId) -> Generation that the region has now
// @return whether every replica has an extent in a file that is gone, or of an older generation
template <class FileGone, class GenerationOf>
bool isStale(const ObjectEntry& entry, const FileGone& file_gone, const GenerationOf& generation) {
    const auto dead = [&](const Extent& extent) {
        return file_gone(extent.region.file) || generation(extent.region) > extent.generation;
    };
    return std::all_of(entry.replicas.begin(), entry.replicas.end(), [&](const Replica& replica) {
        return std::any_of(replica.begin(), replica.end(), dead);
    });
}

// The extents of the change that must be this client's to write.
template <class Visit>
void forNewExtents(const Change& change, const Visit& visit) {
    for (const Replica& replica : change.entry.replicas) {
        for (const Extent& extent : replica) {
            const auto& old = change.before.replicas;
            const bool kept = change.when == Change::When::kUnchanged &&
                              std::any_of(old.begin(), old.end(), [&](const Replica& one) {
                                  return std::find(one.begin(), one.end(), extent) != one.end();
                              });
            if (!kept) visit(extent);
        }
    }
}

}  // namespace mooncake::store
