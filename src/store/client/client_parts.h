// SPDX-License-Identifier: Apache-2.0
// What a client's calls work with.
#pragma once

#include <functional>

#include "client_counters.h"
#include "data_path.h"
#include "directory.h"
#include "entry_cache.h"
#include "evictor.h"
#include "file_table.h"
#include "open_regions.h"
#include "touched_regions.h"
#include "transfer_engine.h"

namespace mooncake::store {

struct ClientParts {
    Directory& directory;
    TransferEngine& engine;
    FileTable& files;
    DataPath& data;
    EntryCache& cache;
    TouchedRegions& touched;
    OpenRegions& open;
    Evictor& evictor;
    ClientCounters& counters;
    // This client's lease holds; it joins anew where the last one was lost.
    std::function<Result<>(Deadline)> ensure_member;
};

}  // namespace mooncake::store
