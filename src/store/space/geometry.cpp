// SPDX-License-Identifier: Apache-2.0
#include "geometry.h"

#include <limits>
#include <string>

namespace mooncake::store {

Result<Geometry> Geometry::of(uint64_t file_bytes) {
    const uint64_t body = file_bytes < kHeaderBytes ? 0 : file_bytes - kHeaderBytes;
    uint32_t region_bytes = kLargestRegion;
    while (region_bytes > kSmallestRegion && body / region_bytes < kFewestRegions) {
        region_bytes /= 2;
    }
    const uint64_t regions = body / region_bytes;
    if (regions < kFewestUsableRegions) {
        return failed(
            Failure::kInvalid,
            "a file of " + std::to_string(file_bytes) + " bytes is too small for the store; use " +
                std::to_string(kHeaderBytes + uint64_t{kFewestUsableRegions} * kSmallestRegion) +
                " or more");
    }
    if (regions > std::numeric_limits<RegionIndex>::max()) {
        return failed(Failure::kInvalid, "a file of " + std::to_string(file_bytes) +
                                             " bytes is too large for the store; cut it up");
    }
    return Geometry{region_bytes, static_cast<uint32_t>(regions)};
}

}  // namespace mooncake::store
