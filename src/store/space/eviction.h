// SPDX-License-Identifier: Apache-2.0
// Which regions are evicted, and what is in use of a file.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ids.h"

namespace mooncake::store {

// A region as far as the directory tells. The bytes are those of objects that are there.
struct RegionFacts {
    RegionIndex index = 0;
    bool clean = false;   // a client may take it
    bool sealed = false;  // full, or its writer is gone; one that is neither is somebody's
    // When a reader last touched it, or, if none did, when it was sealed; larger is later.
    uint64_t last_read = 0;
    uint64_t live_bytes = 0;
    uint64_t soft_bytes = 0;  // of these: softly pinned
    uint64_t hard_bytes = 0;  // of these: hard pinned
};

enum class PinsToMove { kNone, kHard, kAll };

struct Victim {
    RegionIndex index = 0;
    // Objects with these pins are to be written into an open region first.
    PinsToMove move = PinsToMove::kNone;

    bool operator==(const Victim&) const = default;
};

// The next `count` regions to evict, in order; fewer where no more can go. Only sealed ones.
//   first  those without objects
//   then   by when they were read, the longest ago first. A few pinned objects (a quarter of the
//          region) move, so that they do not keep the rest
//   last   those with more of them, by the same order: their soft pins go, their hard ones move
//   never  those of which more than half is hard pinned
std::vector<Victim> chooseVictims(std::span<const RegionFacts> regions, uint32_t region_bytes,
                                  size_t count);

// How many regions are to be evicted now.
// @param being_evicted  those that will be clean soon
size_t evictionsDue(std::span<const RegionFacts> regions, size_t being_evicted);

// Counted anew from the regions each time: there is no counter that a crash could leave wrong.
struct FileUsage {
    uint64_t regions = 0;
    uint64_t clean = 0;   // regions
    uint64_t sealed = 0;  // regions
    uint64_t live_bytes = 0;
    uint64_t pinned_bytes = 0;
    uint64_t evictable = 0;  // regions

    bool operator==(const FileUsage&) const = default;
};
FileUsage usageOf(std::span<const RegionFacts> regions, uint32_t region_bytes);

}  // namespace mooncake::store
