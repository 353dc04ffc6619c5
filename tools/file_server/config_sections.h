// SPDX-License-Identifier: Apache-2.0
// The form of the configuration file: sections in brackets, a setting a line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::file_server {

using nvmeof_generic::Error;
using nvmeof_generic::Result;

struct ConfigSetting {
    std::string key;
    std::string value;
    size_t line;  ///< from 1
};

struct ConfigSection {
    std::string name;  ///< what stands in the brackets; empty for what comes before the first
    size_t line;       ///< of the brackets
    std::vector<ConfigSetting> settings;
};

/// Splits the text of a configuration file. A line is empty, a comment (its first character is '#'
/// or ';'), "[name]", or "key = value"; blanks around each part do not count. Everything behind the
/// '=' belongs to the value, a '#' too. The first section of the result has no name, and may be
/// empty.
/// @return EINVAL with the line's number for any other line, a control character, a key twice in
///     one section, and an empty name, key or value
Result<std::vector<ConfigSection>> splitConfig(std::string_view text);

/// "line 7: <what>", as each complaint about a configuration begins.
Error complain(size_t line, const std::string& what);

}  // namespace mooncake::file_server
