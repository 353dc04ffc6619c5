// SPDX-License-Identifier: Apache-2.0
// Keys have any bytes; on a terminal and in JSON they are text. Printable ASCII stands for itself
// but for the backslash, which is "\\"; every other byte is "\x" and two hexadecimal digits.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mooncake::store::tool {

std::string keyText(std::string_view key);

// Of text that is for people, and not a key: control characters alone are replaced so.
std::string withoutControls(std::string_view text);

// The key that the text stands for; bytes beyond ASCII stand for themselves. None for a backslash
// with anything else behind it.
std::optional<std::string> parseKey(std::string_view text);

}  // namespace mooncake::store::tool
