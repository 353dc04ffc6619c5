// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "object_entry.h"

namespace mooncake::store {

inline Extent makeExtent(FileNumber file, RegionIndex region, Generation generation,
                         uint64_t offset, uint64_t length) {
    return {{file, region}, generation, offset, length, {offset * 3 + 1, ~length}};
}

// Of one extent, as a put of 4 MiB makes it.
inline ObjectEntry makeEntry(FileNumber file = 3, RegionIndex region = 1000,
                             Generation generation = 7, uint64_t offset = 0x2345000,
                             uint64_t size = 4 << 20) {
    ObjectEntry entry;
    entry.size = size;
    entry.time_ms = 1790000000000;
    entry.replicas = {{makeExtent(file, region, generation, offset, size)}};
    return entry;
}

}  // namespace mooncake::store
