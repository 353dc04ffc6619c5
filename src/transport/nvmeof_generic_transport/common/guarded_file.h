// SPDX-License-Identifier: Apache-2.0
// Files that decide who may connect: read only where nobody else can have a hand in them.
// Thread-safe; blocks as long as the file system does.
#pragma once

#include <string>

#include "transport/nvmeof_generic_transport/common/open_path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/secret.h"

namespace mooncake::nvmeof_generic {

enum class FileGuard {
    kUnforged,  ///< nobody else may write it; symbolic links are followed
    kSecret,    ///< nobody else may read it either; symbolic links are refused
};

/// Reads a whole regular file that belongs to us or to root and that its mode keeps from group and
/// others. The folders on the way are judged, too (openPath()). What is judged is what is read.
/// @param path  absolute, or relative to the working directory
/// @param limit  bytes at most
/// @param check  kOff: of the folders, not of the file itself
/// @return ENOENT, EACCES (owner or mode), EINVAL (another kind of file), ELOOP (a symbolic link),
///     EFBIG; the message names the file and never its content
Result<Secret> readGuardedFile(const std::string& path, FileGuard guard, size_t limit,
                               PathCheck check);

}  // namespace mooncake::nvmeof_generic
