// SPDX-License-Identifier: Apache-2.0
// Reading and writing files of a tree whose objects can vanish at any moment.
#pragma once

#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// Whether an error of the functions below means that the object has gone: ENOENT, ENODEV, ENXIO,
/// or EIO, which an attribute says whose object is going at that moment.
bool isGone(int code);

/// @param dir  an opened folder, or AT_FDCWD
Result<UniqueFd> openFolder(int dir, const std::string& path);

/// The names in a folder, without "." and "..".
Result<std::vector<std::string>> listFolder(int dir, const std::string& path);

/// The text of an attribute without trailing white space.
Result<std::string> readAttribute(int dir, const std::string& path);

Result<> writeAttribute(int dir, const std::string& path, const std::string& value);

}  // namespace mooncake::nvmeof_generic
