// SPDX-License-Identifier: Apache-2.0
// How a region goes from one state to the next; the same rules for every directory.
#pragma once

#include <optional>

#include "error.h"
#include "record_codec.h"

namespace mooncake::store {

// What a call comes to: the record to write, or that nothing is to be done, or an error.
using NextRegion = Result<std::optional<RegionRecord>>;

// @param now  none where the region was never taken
NextRegion adoptedRegion(RegionId id, const std::optional<RegionRecord>& now, Generation generation,
                         ClientId client, uint64_t token);
// @param owner_lives  whether the client that the record names is one; for the next two, too
NextRegion sealedRegion(RegionId id, const std::optional<RegionRecord>& now, Generation generation,
                        RegionUse use, ClientId client, bool owner_lives);
NextRegion cleaningRegion(RegionId id, const std::optional<RegionRecord>& now,
                          Generation generation, ClientId client, bool owner_lives);
NextRegion cleanRegion(RegionId id, const std::optional<RegionRecord>& now, Generation generation,
                       ClientId client);

}  // namespace mooncake::store
