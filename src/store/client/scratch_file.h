// SPDX-License-Identifier: Apache-2.0
// Files that live as long as the process that made them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "error.h"
#include "fd_block_file.h"

namespace mooncake::store {

struct ScratchFile {
    std::string path;
    std::unique_ptr<FdBlockFile> file;  // locked: it counts as left behind without
};

// Makes an empty file of that size in the folder, and removes what processes that are gone have
// left there of such files.
Result<ScratchFile> makeScratchFile(const std::string& folder, uint64_t size);

}  // namespace mooncake::store
