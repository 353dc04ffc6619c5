// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mooncake::bench {

/// As printf does it in the C locale, whatever locale the program has set: programs read it. Cut
/// off after 511 characters.
__attribute__((format(printf, 1, 2))) std::string plainFormat(const char* pattern, ...);

}  // namespace mooncake::bench
