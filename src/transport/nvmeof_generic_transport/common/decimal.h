// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <charconv>
#include <string>

namespace mooncake::nvmeof_generic {

/// A number for programs to read: with a point and without grouping, whatever locale the program
/// has set.
/// @param digits  behind the point, 20 at most
inline std::string decimal(double value, int digits) {
    std::array<char, 400> text;  // the largest double in full
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                   std::chars_format::fixed, digits);
    return std::string(text.data(), end.ptr);
}

}  // namespace mooncake::nvmeof_generic
