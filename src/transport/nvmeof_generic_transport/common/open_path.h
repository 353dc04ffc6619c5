// SPDX-License-Identifier: Apache-2.0
// Opens what a path names, where nobody but root and this process's user has a hand in it.
// Thread-safe; blocks as long as the file systems on the way do.
#pragma once

#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// Whether the folders on the way to a file are judged.
enum class PathCheck { kOff, kOn };

/// Whether the last part of a path may be a symbolic link.
enum class LastLink { kFollow, kRefuse };

/// Opens a file, folder or device with O_PATH: nothing is done to it yet.
///
/// With PathCheck::kOn, each folder that the way leads through, also where a symbolic link leads,
/// must belong to root or to this process's user, and neither group nor others may write to it: who
/// could, could put a link or a hard link to a file of root's there. That is sshd's StrictModes.
/// Through a sticky folder (/tmp) the way may lead into a folder of root's or of ours, since nobody
/// else can move or remove that; but nothing else is taken from it: a file or link of root's there
/// may have been moved in by somebody. procfs' links to what processes have open are refused. Whom
/// the file itself belongs to does not matter: it is the one that root or we put there. Each part
/// is opened once and judged by its descriptor, so what was judged is what is opened.
///
/// @param path  absolute, or relative to the working directory
/// @param what  begins each error's message
/// @return EACCES that names the folder, its owner and mode, and what to do; ENOENT, ENOTDIR,
///     ELOOP, EMFILE ...
Result<UniqueFd> openPath(const std::string& path, PathCheck check, LastLink lastLink,
                          const std::string& what);

/// How the kernel finds an open file of the calling process: the file itself, not one that has
/// taken its name since.
std::string procPath(int fd);

}  // namespace mooncake::nvmeof_generic
