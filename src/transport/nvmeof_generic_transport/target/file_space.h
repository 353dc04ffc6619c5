// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Looks whether the disk has the space that reserveSpace() would take, and takes none.
/// @param fd  open for reading
/// @param promised  bytes of the same file system that others are to get first
/// @return bytes that would be taken: of holes, and of blocks that other files share; ENOSPC ...
Result<uint64_t> checkSpace(int fd, uint64_t length, const std::string& name,
                            uint64_t promised = 0);

/// Reserves disk space for the holes in the first `length` bytes of a regular file, and gives it
/// blocks of its own for those that it shares with other files (cp --reflink), so that no remote
/// write meets a full disk. Neither content nor size changes. On failure the file has the holes it
/// had before. Where the file system cannot do so, or copies on write and so takes new space for
/// each write, this is logged. A remote discard gives the space back.
/// @param fd  open for writing
/// @param name  for errors
/// @param step  called again and again: it gets on
/// @return ENOSPC, EDQUOT, ETXTBSY (it is a swap file) ...
Result<> reserveSpace(
    int fd, uint64_t length, const std::string& name, const std::function<void()>& step = [] {});

/// The same, on a thread of its own: a file system that is frozen holds up whoever changes it.
/// @param limit  how long to wait without a step
/// @return EBUSY: what has been begun goes on when the file system goes on ...
Result<> reserveSpaceWithin(std::chrono::milliseconds limit, int fd, uint64_t length,
                            const std::string& name);

}  // namespace mooncake::nvmeof_generic
