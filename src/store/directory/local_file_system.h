// SPDX-License-Identifier: Apache-2.0
// Whether the locks and shared memory of a file are those of one machine.
#pragma once

#include <string>

#include "error.h"

namespace mooncake::store {

// The name of the file system with that number (statfs(2)), if it is one of a network, or one of
// which that cannot be known; else null.
const char* networkFileSystem(long type);

// kUnsupported if the folder is on such a one, kUnavailable if it cannot be asked.
Result<> checkLocalFolder(const std::string& folder);

}  // namespace mooncake::store
