// SPDX-License-Identifier: Apache-2.0
// Reading a region's table of contents: for eviction, which needs the keys of what goes, for
// verifying, and for making a lost directory anew.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "block_file.h"
#include "geometry.h"
#include "ids.h"
#include "table_page.h"

namespace mooncake::store {

struct RegionTable {
    Generation generation = 0;  // 0: the region has no table
    std::vector<TableRecord> records;
    uint32_t data_end = 0;  // the data lie in the blocks before this one
    uint32_t pages = 0;
};

// Reads what is there of the table of one generation: the pages that are whole, whenever its writer
// was killed. What stands in them was laid out so; whether the data came down, too, the checksums
// tell.
// @param generation  nothing: the newest one of which there is a page
// @return kUnavailable where the file cannot be read
Result<RegionTable> readRegionTable(BlockFile& file, const Geometry& geometry, const Uuid& uuid,
                                    RegionIndex region, std::optional<Generation> generation);

}  // namespace mooncake::store
