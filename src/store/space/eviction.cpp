// SPDX-License-Identifier: Apache-2.0
#include "eviction.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "placement.h"

namespace mooncake::store {
namespace {

enum class Rank { kEmpty, kByAge, kLast };

struct Candidate {
    Rank rank;
    uint64_t last_read;
    Victim victim;
};

std::optional<Candidate> candidateOf(const RegionFacts& region, uint32_t region_bytes) {
    if (!region.sealed || region.hard_bytes > region_bytes / 2) {
        return std::nullopt;
    }
    const uint64_t pinned = region.soft_bytes + region.hard_bytes;
    Candidate candidate{Rank::kByAge, region.last_read, {region.index, PinsToMove::kNone}};
    if (region.live_bytes == 0 && pinned == 0) {
        candidate.rank = Rank::kEmpty;
    } else if (pinned > region_bytes / 4) {
        candidate.rank = Rank::kLast;
        if (region.hard_bytes != 0) candidate.victim.move = PinsToMove::kHard;
    } else if (pinned != 0) {
        candidate.victim.move = PinsToMove::kAll;
    }
    return candidate;
}

}  // namespace

std::vector<Victim> chooseVictims(std::span<const RegionFacts> regions, uint32_t region_bytes,
                                  size_t count) {
    std::vector<Candidate> candidates;
    for (const RegionFacts& region : regions) {
        if (auto candidate = candidateOf(region, region_bytes)) candidates.push_back(*candidate);
    }
    count = std::min(count, candidates.size());
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(count),
                      candidates.end(), [](const Candidate& a, const Candidate& b) {
                          return std::tie(a.rank, a.last_read, a.victim.index) <
                                 std::tie(b.rank, b.last_read, b.victim.index);
                      });
    std::vector<Victim> victims;
    for (size_t i = 0; i < count; ++i) victims.push_back(candidates[i].victim);
    return victims;
}

size_t evictionsDue(std::span<const RegionFacts> regions, size_t being_evicted) {
    const auto clean = static_cast<size_t>(std::count_if(
        regions.begin(), regions.end(), [](const RegionFacts& region) { return region.clean; }));
    const size_t reserve = cleanReserve(static_cast<uint32_t>(regions.size()));
    return reserve > clean + being_evicted ? reserve - clean - being_evicted : 0;
}

FileUsage usageOf(std::span<const RegionFacts> regions, uint32_t region_bytes) {
    FileUsage usage;
    usage.regions = regions.size();
    for (const RegionFacts& region : regions) {
        usage.clean += region.clean;
        usage.sealed += region.sealed;
        usage.live_bytes += region.live_bytes;
        usage.pinned_bytes += region.soft_bytes + region.hard_bytes;
        usage.evictable += candidateOf(region, region_bytes).has_value();
    }
    return usage;
}

}  // namespace mooncake::store
