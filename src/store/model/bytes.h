// SPDX-License-Identifier: Apache-2.0
// Packed binary: numbers of seven bits a byte, and of a fixed size with the lowest byte first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mooncake::store {

// Small numbers in few bytes: seven bits a byte, the lowest first, the top bit set in all but the
// last.
inline void putVarint(std::string* out, uint64_t value) {
    for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
    out->push_back(static_cast<char>(value));
}

template <class Unsigned>
void putFixed(std::string* out, Unsigned value) {
    for (size_t i = 0; i < sizeof(Unsigned); ++i) {
        out->push_back(static_cast<char>(value >> (8 * i)));
    }
}

// A length and the bytes.
inline void putText(std::string* out, std::string_view text) {
    putVarint(out, text.size());
    out->append(text);
}

// Takes one thing after the other off the front. A function that returns false has found too few
// bytes, or a number in more bytes than it needs; what it was to fill is undefined then.
class ByteReader {
 public:
    explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

    size_t left() const { return rest_.size(); }

    bool varint(uint64_t* value) {
        *value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            if (rest_.empty()) return false;
            const auto byte = static_cast<uint8_t>(rest_.front());
            rest_.remove_prefix(1);
            const uint64_t bits = byte & 0x7f;
            if (shift == 63 && bits > 1) return false;
            *value |= bits << shift;
            if (byte < 0x80) return byte != 0 || shift == 0;
        }
        return false;
    }

    template <class Unsigned>
    bool varintTo(Unsigned* value) {
        uint64_t wide = 0;
        if (!varint(&wide)) return false;
        *value = static_cast<Unsigned>(wide);
        return *value == wide;
    }

    template <class Unsigned>
    bool fixed(Unsigned* value) {
        std::string_view bytes;
        if (!take(sizeof(Unsigned), &bytes)) return false;
        uint64_t wide = 0;
        for (size_t i = 0; i < sizeof(Unsigned); ++i) {
            wide |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
        }
        *value = static_cast<Unsigned>(wide);
        return true;
    }

    bool take(size_t size, std::string_view* bytes) {
        if (rest_.size() < size) return false;
        *bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return true;
    }

    bool text(std::string* out) {
        uint64_t size = 0;
        std::string_view bytes;
        if (!varint(&size) || size > rest_.size() || !take(size, &bytes)) return false;
        out->assign(bytes);
        return true;
    }

 private:
    std::string_view rest_;
};

}  // namespace mooncake::store
