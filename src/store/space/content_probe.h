// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "error.h"

namespace mooncake::store {

// What libblkid recognises in an open file or block device, such as "ext4 file system" or "gpt
// partition table"; the first of several. Empty where it recognises nothing. Changes nothing.
// @param fd  open for reading; stays the caller's
Result<std::string> probeContent(int fd);

}  // namespace mooncake::store
