// SPDX-License-Identifier: Apache-2.0
#include "connection_crowd.h"

#include <algorithm>

namespace mooncake {

ConnectionCrowd::Place ConnectionCrowd::placeFor(const PeerKey& peer) const {
    const auto own = counts_.find(peer);
    const bool greedy = own != counts_.end() && own->second >= limits_.per_peer;
    if (!greedy && held_.size() < limits_.connections) return {.free = true};
    size_t most = 0;
    for (const auto& [one, count] : counts_) most = std::max(most, count);
    // All of those that have the most are equal.
    const Held* chosen = nullptr;
    Place place;
    for (const auto& [id, one] : held_) {
        if (greedy ? one.peer != peer : counts_.at(one.peer) < most) continue;
        if (chosen != nullptr && (one.stage > chosen->stage ||
                                  (one.stage == chosen->stage && one.since >= chosen->since))) {
            continue;
        }
        chosen = &one;
        place.victim = id;
        place.from = one.stage == Stage::kIdle ? Time() : one.since + limits_.grace;
    }
    return place;
}

void ConnectionCrowd::add(Id id, const PeerKey& peer, Time now) {
    held_.emplace(id, Held{peer, Stage::kAsking, now});
    ++counts_[peer];
}

void ConnectionCrowd::move(Id id, Stage stage, Time now) {
    const auto found = held_.find(id);
    if (found == held_.end() || found->second.stage == stage) return;
    found->second.stage = stage;
    found->second.since = now;
}

void ConnectionCrowd::remove(Id id) {
    const auto found = held_.find(id);
    if (found == held_.end()) return;
    const auto count = counts_.find(found->second.peer);
    if (--count->second == 0) counts_.erase(count);
    held_.erase(found);
}

}  // namespace mooncake
