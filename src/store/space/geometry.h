// SPDX-License-Identifier: Apache-2.0
// How a file is cut:
//
//   0       superblock, and its copy half way through the header
//   1 MiB   region 0, region 1, ... each of the same size; what is left at the end is not used
//
// The header has 1 MiB so that regions lie on whatever unit a disk or file system likes.
#pragma once

#include <cstdint>

#include "block_file.h"
#include "ids.h"

namespace mooncake::store {

constexpr uint64_t kHeaderBytes = 1 << 20;
constexpr uint32_t kLargestRegion = 64 << 20;
constexpr uint32_t kSmallestRegion = 4 << 20;
// A file has as many regions at least, as long as they are not smaller than the smallest.
constexpr uint32_t kFewestRegions = 32;
// With fewer nothing can be filled while another one is evicted.
constexpr uint32_t kFewestUsableRegions = 2;

struct Geometry {
    uint32_t region_bytes = 0;  // a power of two
    uint32_t regions = 0;

    // For a new file of this size. kInvalid where it is too small, or has more regions than can be
    // counted (256 PiB).
    static Result<Geometry> of(uint64_t file_bytes);

    // Where the region begins in the file.
    uint64_t offsetOf(RegionIndex region) const {
        return kHeaderBytes + uint64_t{region} * region_bytes;
    }
    uint32_t blocksInRegion() const { return region_bytes / kBlockBytes; }
    // Bytes of the file that are in use.
    uint64_t end() const { return offsetOf(regions); }

    bool operator==(const Geometry&) const = default;
};

}  // namespace mooncake::store
