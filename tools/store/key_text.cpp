// SPDX-License-Identifier: Apache-2.0
#include "key_text.h"

#include <charconv>
#include <cstdint>

namespace mooncake::store::tool {

std::string keyText(std::string_view key) {
    constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    text.reserve(key.size());
    for (const char one : key) {
        const auto byte = static_cast<uint8_t>(one);
        if (one == '\\') {
            text += "\\\\";
        } else if (byte >= 0x20 && byte < 0x7f) {
            text += one;
        } else {
            text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    return text;
}

std::optional<std::string> parseKey(std::string_view text) {
    std::string key;
    while (!text.empty()) {
        if (text.front() != '\\') {
            key += text.front();
            text.remove_prefix(1);
        } else if (text.starts_with("\\\\")) {
            key += '\\';
            text.remove_prefix(2);
        } else {
            unsigned byte = 0;
            if (!text.starts_with("\\x") || text.size() < 4) return std::nullopt;
            const auto read = std::from_chars(text.data() + 2, text.data() + 4, byte, 16);
            if (read.ptr != text.data() + 4) return std::nullopt;
            key += static_cast<char>(byte);
            text.remove_prefix(4);
        }
    }
    return key;
}

}  // namespace mooncake::store::tool
