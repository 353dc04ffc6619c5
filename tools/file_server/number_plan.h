// SPDX-License-Identifier: Apache-2.0
// The number of each file: the same at each start, whichever of them are there.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "server_config.h"

namespace mooncake::file_server {

/// Numbers for all files of a configuration, by path: that which its id= says, or one that follows
/// from the path, from 4096 to 65535. It depends neither on the order of the sections nor on
/// what else is there, unless two paths lead to the same number: then the path that comes first in
/// the order of its bytes has it, and the other the next one that is free. Smaller numbers are left
/// to id= and to files that are served again before the next start.
/// @param files  with different paths and different ids
std::unordered_map<std::string, FileBufferID> planNumbers(const std::vector<FileEntry>& files);

}  // namespace mooncake::file_server
