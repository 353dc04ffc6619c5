// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "config_sections.h"

namespace mooncake::file_server {

/// The bytes of a regular file or block device; the content is not touched.
/// @return ENOENT, EACCES ...; EINVAL for another kind of file and for an empty one
Result<uint64_t> physicalSize(const std::string& path);

/// Whether a file system is mounted at a folder.
/// @return ENOENT, ENODEV (nothing is mounted there) ...
Result<> checkMounted(const std::string& folder);

}  // namespace mooncake::file_server
