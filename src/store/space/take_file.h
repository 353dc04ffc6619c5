// SPDX-License-Identifier: Apache-2.0
// Whether a file may be mounted, and making it one of the store where it is empty.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "block_file.h"
#include "superblock.h"

namespace mooncake::store {

struct TakeRules {
    std::string store;       // whose file it is to be
    bool overwrite = false;  // take it, whatever it holds; what is not this store's is lost
    bool scratch = false;    // what a new superblock says
    Uuid new_file;           // the uuid that a new file gets
    uint64_t now_ms = 0;     // what a new superblock says
};

struct TakenFile {
    Superblock superblock;
    bool is_new = false;        // the superblock was written just now
    bool was_repaired = false;  // one of its copies was
};

// Reads the superblock, or writes one into a file that holds nothing: libblkid recognises nothing,
// and the first MiB is zero.
// @param name  the file's, for messages
// @param recognised  what probeContent() says of the file
// @return kConflict for another store's file, kUnsupported for another version's, kDamaged for one
//     whose superblock is not whole, kRefused for one that holds something else, kInvalid for one
//     that has become smaller: all these only without `overwrite`. kInvalid for one that is too
//     small. Nothing was changed then.
Result<TakenFile> takeFile(BlockFile& file, const std::string& name,
                           const std::function<Result<std::string>()>& recognised,
                           const TakeRules& rules);

}  // namespace mooncake::store
