// SPDX-License-Identifier: Apache-2.0
// Units of throughput: bytes or bits, powers of 1000 or of 1024.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mooncake::bench {

struct ReportUnit {
    std::string_view name;  ///< "GB": a capital B is bytes, a small b is bits; an i is 1024
    double bytes;           ///< bytes in one unit
};

/// The unit of that exact name, or nothing.
std::optional<ReportUnit> findReportUnit(std::string_view name);

/// All names as they stand in a usage message: "GB|GiB|Gb|...".
std::string reportUnitNames();

/// @param bytes  moved in `seconds`; @param seconds  0 gives a throughput of 0
/// @param precision  digits after the point
/// @return e.g. "1.25 GB/s"
std::string formatThroughput(uint64_t bytes, double seconds, const ReportUnit& unit,
                             unsigned precision);

}  // namespace mooncake::bench
