// SPDX-License-Identifier: Apache-2.0
// The names by which the store knows files, their regions and its clients.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace mooncake::store {

// What stands in a file's superblock, and names the file wherever it is mounted.
struct Uuid {
    std::array<uint8_t, 16> bytes = {};

    // A new one, from the kernel's random numbers.
    static Uuid random();
    // Reads the form of text(), in either case of letters.
    static std::optional<Uuid> parse(std::string_view text);

    // 8-4-4-4-12 hexadecimal digits.
    std::string text() const;
    bool isNull() const { return *this == Uuid(); }

    auto operator<=>(const Uuid&) const = default;
};

// A short name that the directory gives to a uuid, never again to another one. 0 is none.
using FileNumber = uint32_t;
// The region's place in its file: 0 is the first.
using RegionIndex = uint32_t;
// How often a region has been given a new content. 0: it never had one.
using Generation = uint64_t;
// A client of the directory for as long as its lease holds. 0 is none.
using ClientId = uint64_t;

struct RegionId {
    FileNumber file = 0;
    RegionIndex index = 0;

    auto operator<=>(const RegionId&) const = default;
};

// "3/17": file 3, region 17.
std::string toString(const RegionId& region);

}  // namespace mooncake::store

template <>
struct std::hash<mooncake::store::RegionId> {
    size_t operator()(const mooncake::store::RegionId& region) const noexcept {
        return std::hash<uint64_t>()(uint64_t{region.file} << 32 | region.index);
    }
};

template <>
struct std::hash<mooncake::store::Uuid> {
    size_t operator()(const mooncake::store::Uuid& uuid) const noexcept {
        return std::hash<std::string_view>()(
            {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()});
    }
};
