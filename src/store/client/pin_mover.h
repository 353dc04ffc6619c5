// SPDX-License-Identifier: Apache-2.0
// Brings pinned objects out of a region that is going to be evicted.
#pragma once

#include <vector>

#include "client_counters.h"
#include "data_path.h"
#include "directory.h"
#include "entry_cache.h"
#include "file_table.h"
#include "open_regions.h"
#include "table_page.h"

namespace mooncake::store {

// Thread rule: any thread.
class PinMover {
 public:
    PinMover(Directory& directory, FileTable& files, DataPath& data, OpenRegions& open,
             EntryCache& cache, ClientCounters& counters)
        : directory_(directory),
          files_(files),
          data_(data),
          open_(open),
          cache_(cache),
          counters_(counters) {}

    // Bytes in the region of objects that have a pin and are there.
    struct Pinned {
        uint64_t soft = 0;
        uint64_t hard = 0;
    };
    Result<Pinned> count(const Region& region, const std::vector<TableRecord>& records,
                         Deadline deadline);

    // Writes those that have one of these pins into open regions, and has their entries say so. The
    // region is sealed. What cannot be read is not moved.
    // @return kNoSpace where there is no room for all; those that were moved stay moved
    Result<> move(const KnownFile& file, const Region& region,
                  const std::vector<TableRecord>& records, uint8_t pins, Deadline deadline);

 private:
    struct Part {
        const TableRecord* record;
        ObjectEntry entry;
        size_t replica;
        size_t extent;
    };
    Result<std::vector<Part>> parts(const Region& region, const std::vector<TableRecord>& records,
                                    uint8_t pins, Deadline deadline);
    Result<size_t> moveSome(const KnownFile& file, const Part* begin, const Part* end,
                            Deadline deadline);
    Result<> makeRoom(class RegionWriter& writer, size_t copy, const KnownFile& file,
                      const Part& part, Deadline deadline);

    Directory& directory_;
    FileTable& files_;
    DataPath& data_;
    OpenRegions& open_;
    EntryCache& cache_;
    ClientCounters& counters_;
};

}  // namespace mooncake::store
