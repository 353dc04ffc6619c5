// SPDX-License-Identifier: Apache-2.0
#include "units.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <limits>

namespace mooncake::store::tool {

std::string bytesText(uint64_t bytes) {
    constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) return std::to_string(bytes) + " B";
    auto value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
    char text[32];
    std::snprintf(text, sizeof(text), "%.1f %s", value, kUnits[unit]);
    return text;
}

std::optional<uint64_t> parseNumber(std::string_view text, uint64_t least) {
    uint64_t number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc() || read.ptr != text.data() + text.size() || number < least) {
        return std::nullopt;
    }
    return number;
}

std::optional<uint64_t> parseBytes(std::string_view text) {
    constexpr std::string_view kUnits = "KMGT";
    unsigned shift = 0;
    if (const size_t unit = text.empty() ? kUnits.npos : kUnits.find(text.back());
        unit != kUnits.npos) {
        shift = 10 * static_cast<unsigned>(unit + 1);
        text.remove_suffix(1);
    }
    const auto number = parseNumber(text, 0);
    if (!number || *number > std::numeric_limits<uint64_t>::max() >> shift) return std::nullopt;
    return *number << shift;
}

std::string timeText(uint64_t milliseconds_since_1970) {
    const auto time = static_cast<std::time_t>(milliseconds_since_1970 / 1000);
    std::tm parts{};
    char text[32];
    if (::gmtime_r(&time, &parts) == nullptr) return "";
    return std::string(text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts));
}

std::string durationText(std::chrono::seconds time) {
    const auto seconds = time.count();
    if (seconds < 120) return std::to_string(seconds) + " s";
    if (seconds < 7200) return std::to_string(seconds / 60) + " min";
    return std::to_string(seconds / 3600) + " h";
}

}  // namespace mooncake::store::tool
