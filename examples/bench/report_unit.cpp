// SPDX-License-Identifier: Apache-2.0
#include "bench/report_unit.h"

#include <array>

#include "bench/plain_format.h"

namespace mooncake::bench {
namespace {

constexpr double kBitsPerByte = 8.0;
constexpr double kKilo = 1e3, kMega = 1e6, kGiga = 1e9;
constexpr double kKibi = 1024.0, kMebi = 1024.0 * kKibi, kGibi = 1024.0 * kMebi;

constexpr std::array<ReportUnit, 9> kUnits = {{
    {"GB", kGiga},
    {"GiB", kGibi},
    {"Gb", kGiga / kBitsPerByte},
    {"MB", kMega},
    {"MiB", kMebi},
    {"Mb", kMega / kBitsPerByte},
    {"KB", kKilo},
    {"KiB", kKibi},
    {"Kb", kKilo / kBitsPerByte},
}};

}  // namespace

std::optional<ReportUnit> findReportUnit(std::string_view name) {
    for (const ReportUnit& unit : kUnits) {
        if (unit.name == name) return unit;
    }
    return std::nullopt;
}

std::string reportUnitNames() {
    std::string names;
    for (const ReportUnit& unit : kUnits) {
        if (!names.empty()) names += '|';
        names += unit.name;
    }
    return names;
}

std::string formatThroughput(uint64_t bytes, double seconds, const ReportUnit& unit,
                             unsigned precision) {
    const double rate = seconds > 0 ? static_cast<double>(bytes) / seconds / unit.bytes : 0.0;
    return plainFormat("%.*f ", static_cast<int>(precision), rate) + std::string(unit.name) + "/s";
}

}  // namespace mooncake::bench
