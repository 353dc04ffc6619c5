// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Replaces a file by one with this text, so that whoever reads it sees all of the old or all of
/// the new.
/// @param path  its folder must exist; a name that begins with `path` is used meanwhile
/// @return the errno of the step that failed, with the file's name
Result<> replaceFile(const std::string& path, std::string_view text);

}  // namespace mooncake::nvmeof_generic
