// SPDX-License-Identifier: Apache-2.0
// The directory's records of files, mounts, regions and clients in bytes, each with a version
// before it. decode functions give none for bytes that are of another version or no record.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "directory_types.h"

namespace mooncake::store {

struct FileRecord {
    FileDescription description;
    FileState state = FileState::kActive;
};

struct RegionRecord {
    RegionState state = RegionState::kClean;
    Generation generation = 0;
    ClientId owner = 0;
    uint64_t token = 0;  // tells one taking from another by the same client
    RegionUse use;

    Region with(RegionId id, uint64_t last_used) const {
        return {id, state, generation, owner, use, last_used};
    }
};

std::string encodeFile(const FileRecord& record);
std::optional<FileRecord> decodeFile(std::string_view bytes);

std::string encodeMount(const Mount& mount);
std::optional<Mount> decodeMount(std::string_view bytes);

// A record has one encoding, so that equal bytes mean equal records.
std::string encodeRegion(const RegionRecord& record);
std::optional<RegionRecord> decodeRegion(std::string_view bytes);

}  // namespace mooncake::store
