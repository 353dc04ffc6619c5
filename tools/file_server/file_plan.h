// SPDX-License-Identifier: Apache-2.0
// From the files that are served to those that shall be.
#pragma once

#include <string>
#include <vector>

#include "server_config.h"

namespace mooncake::file_server {

struct ServedFile {
    FileEntry entry;
    /// The transport serves it no more, because it was truncated, replaced or the like.
    bool withdrawn = false;
};

struct FilePlan {
    std::vector<std::string> remove;  ///< paths, in the order of what is served
    std::vector<FileEntry> add;       ///< in the order of what is wanted, after all removals
};

/// What is served and wanted with the same size and id is in neither list. What was withdrawn, or
/// is wanted with another size or id, is in both.
FilePlan planFiles(const std::vector<ServedFile>& served, const std::vector<FileEntry>& wanted);

}  // namespace mooncake::file_server
