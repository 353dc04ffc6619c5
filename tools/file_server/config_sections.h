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

struct ConfigLine {
    std::string file;  ///< empty where the text is no file's
    size_t number;     ///< from 1
};

struct ConfigSetting {
    std::string key;
    std::string value;
    ConfigLine line;
};

struct ConfigSection {
    std::string name;  ///< what stands in the brackets; empty for what comes before the first
    ConfigLine line;   ///< of the brackets
    std::vector<ConfigSetting> settings;
};

/// Splits the text of a configuration file. A line is empty, a comment (its first character is '#'
/// or ';'), "[name]", or "key = value"; blanks around each part do not count. Everything behind the
/// '=' belongs to the value, a '#' too. The first section of the result has no name, and may be
/// empty.
/// @param file  where the text is from, for errors
/// @return EINVAL with the line's number for any other line, a control character, a key twice in
///     one section, and an empty name, key or value
Result<std::vector<ConfigSection>> splitConfig(std::string_view text, const std::string& file = "");

/// Adds the sections of another file: its nameless section's settings to those of the first one.
/// @return EINVAL with both places for a key that is in both
Result<> appendSections(std::vector<ConfigSection> more, std::vector<ConfigSection>& sections);

/// "'<file>': line 7", or without the file.
std::string placeOf(const ConfigLine& line);

/// "line 7: <what>", as each complaint about a configuration begins.
Error complain(const ConfigLine& line, const std::string& what);

}  // namespace mooncake::file_server
