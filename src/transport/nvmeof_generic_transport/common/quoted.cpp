// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/quoted.h"

#include <algorithm>

namespace mooncake::nvmeof_generic {

std::string inQuotes(std::string_view text) {
    constexpr size_t kMaxShown = 256;
    constexpr std::string_view kKeyHead = "DHHC-1:";
    std::string shown(text.substr(0, kMaxShown));
    if (const size_t key = shown.find(kKeyHead); key != std::string::npos) {
        return inQuotes(text.substr(0, key)) + " and a key that is not shown";
    }
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return "'" + shown + (text.size() > kMaxShown ? "...'" : "'");
}

}  // namespace mooncake::nvmeof_generic
