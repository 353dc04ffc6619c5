// SPDX-License-Identifier: Apache-2.0
#include "key_text.h"

#include <charconv>
#include <cstdint>

namespace mooncake::store::tool {

namespace {

void addHex(std::string* text, char byte) {
    constexpr char kHex[] = "0123456789abcdef";
    *text += {'\\', 'x', kHex[static_cast<uint8_t>(byte) >> 4], kHex[byte & 15]};
}

bool isControl(uint8_t byte) {
    return byte < 0x20 || byte == 0x7f;
}

bool isAscii(uint8_t byte) {
    return byte < 0x80;
}

}  // namespace

std::string keyText(std::string_view key) {
    std::string text;
    text.reserve(key.size());
    for (const char one : key) {
        if (one == '\\') {
            text += "\\\\";
        } else if (!isAscii(one) || isControl(one)) {
            addHex(&text, one);
        } else {
            text += one;
        }
    }
    return text;
}

std::string withoutControls(std::string_view text) {
    std::string clean;
    for (const char one : text) {
        if (isControl(one)) {
            addHex(&clean, one);
        } else {
            clean += one;
        }
    }
    return clean;
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
