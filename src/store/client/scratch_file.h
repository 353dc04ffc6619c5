// SPDX-License-Identifier: Apache-2.0
// Files that live as long as the process that made them.
#pragma once

#include <cstdint>
#include <string>

#include "error.h"

namespace mooncake::store {

// Makes an empty file of that size in the folder, and removes what processes that are gone have
// left there of such files a minute ago or
// longer.
// @return its path
Result<std::string> makeScratchFile(const std::string& folder, uint64_t size);

}  // namespace mooncake::store
