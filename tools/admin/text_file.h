// SPDX-License-Identifier: Apache-2.0
// Small files and folders of the kernel's trees, where any object may vanish at any moment.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace mooncake::nvmeof_generic::admin {

/// The whole content, also of files whose size the kernel does not tell.
/// @return nothing when it cannot be read
std::optional<std::string> readText(const std::string& path);

/// The first line, without its end. @return nothing when it cannot be read
std::optional<std::string> readLine(const std::string& path);

/// The names in a folder, sorted; none when it cannot be read.
std::vector<std::string> namesIn(const std::string& folder);

/// The last part of what a symbolic link points to; "" when there is no such link.
std::string linkedName(const std::string& link);

bool exists(const std::string& path);

}  // namespace mooncake::nvmeof_generic::admin
