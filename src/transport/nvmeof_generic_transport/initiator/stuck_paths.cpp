// SPDX-License-Identifier: Apache-2.0
#include "stuck_paths.h"

namespace mooncake::nvmeof_generic {
namespace {

// Looks that are further apart say nothing of the time between.
constexpr std::chrono::seconds kInARow{1};

}  // namespace

bool StuckPaths::note(size_t path, const std::optional<Sight>& sight, Clock::time_point now) {
    Seen& seen = seen_[path];
    const bool inARow = seen.last && now - seen.lookedAt <= kInARow;
    if (!sight || !inARow || sight->inFlight == 0 || sight->ended != seen.last->ended) {
        seen.movedAt = now;
    }
    seen.last = sight;
    seen.lookedAt = now;
    if (now - seen.movedAt < kStuck) return false;
    if (stuck_ && *stuck_ != path && now - stuckAt_ < kNoOther) return false;
    bool anyOther = false;
    for (const Seen& other : seen_) anyOther = anyOther || (&other != &seen && getsOn(other, now));
    if (!anyOther) return false;
    stuck_ = path;
    stuckAt_ = now;
    seen.last.reset();
    return true;
}

bool StuckPaths::getsOn(const Seen& path, Clock::time_point now) const {
    return path.last && now - path.lookedAt <= kInARow && now - path.movedAt < kStuck / 2;
}

}  // namespace mooncake::nvmeof_generic
