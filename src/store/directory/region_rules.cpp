// SPDX-License-Identifier: Apache-2.0
#include "region_rules.h"

namespace mooncake::store {

namespace {

const char* nameOf(RegionState state) {
    switch (state) {
        case RegionState::kClean:
            return "clean";
        case RegionState::kOpen:
            return "open";
        case RegionState::kSealed:
            return "sealed";
        case RegionState::kCleaning:
            return "being cleaned";
    }
    return "in no state";
}

tl::unexpected<Error> conflict(RegionId id, const std::optional<RegionRecord>& now,
                               const char* wanted, Generation generation) {
    std::string is = "was never taken";
    if (now) {
        is = std::string("is ") + nameOf(now->state) + ", of generation " +
             std::to_string(now->generation);
        if (now->owner != 0) is += ", client " + std::to_string(now->owner) + "'s";
    }
    return failed(Failure::kConflict, "region " + toString(id) + " cannot be " + wanted +
                                          " in generation " + std::to_string(generation) + ": it " +
                                          is + "; look at it again");
}

}  // namespace

NextRegion adoptedRegion(RegionId id, const std::optional<RegionRecord>& now, Generation generation,
                         ClientId client, uint64_t token) {
    if (!now) return RegionRecord{RegionState::kOpen, generation, client, token, {}};
    // The same call again.
    if (now->state == RegionState::kOpen && now->generation == generation && now->owner == client &&
        now->token == token) {
        return std::nullopt;
    }
    return conflict(id, now, "adopted", generation);
}

NextRegion sealedRegion(RegionId id, const std::optional<RegionRecord>& now, Generation generation,
                        RegionUse use, ClientId client, bool owner_lives) {
    if (now && now->generation == generation) {
        if (now->state == RegionState::kSealed) return std::nullopt;
        if (now->state == RegionState::kOpen && (now->owner == client || !owner_lives)) {
            return RegionRecord{RegionState::kSealed, generation, 0, 0, use};
        }
    }
    return conflict(id, now, "sealed", generation);
}

NextRegion cleaningRegion(RegionId id, const std::optional<RegionRecord>& now,
                          Generation generation, ClientId client, bool owner_lives) {
    if (now && now->state == RegionState::kSealed && now->generation == generation) {
        return RegionRecord{RegionState::kCleaning, generation + 1, client, 0, {}};
    }
    if (now && now->state == RegionState::kCleaning) {
        const bool again = now->owner == client && now->generation == generation + 1;
        if (again) return std::nullopt;
        if (now->owner != client && !owner_lives &&
            (now->generation == generation || now->generation == generation + 1)) {
            return RegionRecord{RegionState::kCleaning, now->generation, client, 0, {}};
        }
    }
    return conflict(id, now, "cleaned", generation);
}

NextRegion cleanRegion(RegionId id, const std::optional<RegionRecord>& now, Generation generation,
                       ClientId client) {
    if (now && now->state == RegionState::kCleaning && now->generation == generation &&
        now->owner == client) {
        return RegionRecord{RegionState::kClean, generation, 0, 0, {}};
    }
    // The same call again: somebody may have taken it in between.
    if (now && now->generation >= generation && now->state != RegionState::kCleaning) {
        return std::nullopt;
    }
    return conflict(id, now, "given free", generation);
}

}  // namespace mooncake::store
