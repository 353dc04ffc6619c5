// SPDX-License-Identifier: Apache-2.0
#include "base64.h"

#include <cstddef>
#include <cstdint>

namespace mooncake {

namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int digitOf(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::string base64Encode(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        for (size_t j = 0; j < 3; ++j) {
            group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0u);
        }
        for (size_t j = 0; j < 4; ++j) {
            text += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
        }
    }
    return text;
}

bool base64Decode(std::string_view text, std::string* bytes) {
    bytes->clear();
    if (text.size() % 4 != 0) return false;
    size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') {
        ++padding;
    }
    bytes->reserve(text.size() / 4 * 3);
    for (size_t i = 0; i < text.size(); i += 4) {
        const size_t digits = i + 4 == text.size() ? 4 - padding : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; ++j) {
            const int digit = j < digits ? digitOf(text[i + j]) : 0;
            if (digit < 0) return false;
            group = group << 6 | static_cast<uint32_t>(digit);
        }
        for (size_t j = 0; j + 1 < digits; ++j) {
            *bytes += static_cast<char>(group >> (16 - 8 * j) & 0xff);
        }
    }
    return true;
}

}  // namespace mooncake
