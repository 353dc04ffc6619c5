// SPDX-License-Identifier: Apache-2.0
// Numbers as people write and read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mooncake::store::tool {

// "0 B", "1.5 KiB", "64.0 MiB".
std::string bytesText(uint64_t bytes);

// "100", "64K", "1M", "2G", "1T": units of 1024. None for anything else.
std::optional<uint64_t> parseBytes(std::string_view text);

// A whole number from `least` on. None for anything else.
std::optional<uint64_t> parseNumber(std::string_view text, uint64_t least);

// "2026-01-31T12:00:00Z"
std::string timeText(uint64_t milliseconds_since_1970);

// "8 s", "3 min", "2 h"
std::string durationText(std::chrono::seconds time);

}  // namespace mooncake::store::tool
