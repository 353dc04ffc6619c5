// SPDX-License-Identifier: Apache-2.0
#include "ids.h"

#include <random>

namespace mooncake::store {

namespace {

constexpr size_t kTextSize = 36;

constexpr bool isHyphen(size_t at) {
    return at == 8 || at == 13 || at == 18 || at == 23;
}

int digitOf(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

Uuid Uuid::random() {
    std::random_device device;
    Uuid uuid;
    for (size_t i = 0; i < uuid.bytes.size(); i += 4) {
        const uint32_t word = device();
        for (size_t j = 0; j < 4; ++j) uuid.bytes[i + j] = static_cast<uint8_t>(word >> (8 * j));
    }
    // RFC 4122: version 4, variant 1.
    uuid.bytes[6] = static_cast<uint8_t>((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = static_cast<uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
    return uuid;
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
    if (text.size() != kTextSize) return std::nullopt;
    Uuid uuid;
    size_t digits = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (isHyphen(i)) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const int digit = digitOf(text[i]);
        if (digit < 0) return std::nullopt;
        uint8_t& byte = uuid.bytes[digits++ / 2];
        byte = static_cast<uint8_t>(byte << 4 | digit);
    }
    return uuid;
}

std::string Uuid::text() const {
    constexpr char kHex[] = "0123456789abcdef";
    std::string text;
    text.reserve(kTextSize);
    for (const uint8_t byte : bytes) {
        if (isHyphen(text.size())) text += '-';
        text += kHex[byte >> 4];
        text += kHex[byte & 15];
    }
    return text;
}

std::string toString(const RegionId& region) {
    return std::to_string(region.file) + "/" + std::to_string(region.index);
}

}  // namespace mooncake::store
