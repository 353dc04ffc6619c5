// SPDX-License-Identifier: Apache-2.0
// The files a target registers: what they are and how large.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/failure.h"

namespace mooncake::bench {

struct LocalFile {
    std::string path;
    uint64_t size;  ///< bytes: the length of a regular file, the capacity of a block device
};

/// Looks at each path.
/// @param files  filled in the order of `paths`
/// @return ExitCode::kUsage for one that is missing, unreadable, empty, or neither a regular file
/// nor a block device
MaybeFailure inspectFiles(const std::vector<std::string>& paths, std::vector<LocalFile>& files);

}  // namespace mooncake::bench
