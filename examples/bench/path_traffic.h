// SPDX-License-Identifier: Apache-2.0
// What went over each path to a segment while a workload ran.
#pragma once

#include <cstdint>
#include <vector>

#include "transport/nvmeof_generic_transport/transport_stats.h"

namespace mooncake::bench {

struct PathTraffic {
    PathStats now;              ///< at the end
    uint64_t bytesRead = 0;     ///< since the begin, by all processes of the machine
    uint64_t bytesWritten = 0;  ///< likewise
};

/// @param before, after  a segment's paths at both ends of a time. What a controller carried that
///     was lost meanwhile is not known
std::vector<PathTraffic> pathTraffic(const std::vector<PathStats>& before,
                                     const std::vector<PathStats>& after);

}  // namespace mooncake::bench
