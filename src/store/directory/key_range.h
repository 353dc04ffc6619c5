// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace mooncake::store {

// The smallest key that is greater than all that begin with `prefix`; empty: there is none.
inline std::string endOfPrefix(std::string prefix) {
    while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
    if (!prefix.empty()) ++prefix.back();
    return prefix;
}

}  // namespace mooncake::store
