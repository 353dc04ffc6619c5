// SPDX-License-Identifier: Apache-2.0
#include "evictor.h"

#include <glog/logging.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "engine_file.h"
#include "placement.h"
#include "superblock.h"

namespace mooncake::store {
namespace {

// How long a region is left alone whose table could not be read.
constexpr std::chrono::minutes kLeftOut(10);

}  // namespace

Evictor::Turn::Turn(Evictor& evictor, FileNumber file, Deadline deadline) : evictor_(evictor) {
    std::unique_lock lock(evictor.mutex_);
    State& of_file = evictor.states_[file];
    if (!of_file.is_busy) {
        of_file.is_busy = true;
        state = &of_file;
    } else {
        evictor.ended_.wait_until(lock, deadline, [&] { return !of_file.is_busy; });
    }
}

Evictor::Turn::~Turn() {
    if (state == nullptr) return;
    const std::lock_guard lock(evictor_.mutex_);
    state->is_busy = false;
    evictor_.ended_.notify_all();
}

Result<> Evictor::makeRoom(const KnownFile& file, Deadline deadline) {
    const Turn turn(*this, file.info.number, deadline);
    if (turn.state == nullptr) return {};
    counters_.add(&ClientStatistics::put_waits);
    auto now = look(file, *turn.state, deadline);
    if (!now) return tl::unexpected(now.error());
    const auto finished = finishOthers(*now, deadline);
    if (!finished) return tl::unexpected(finished.error());
    if (*finished != 0) return {};
    const auto evicted = evict(*now, 1, deadline);
    if (!evicted) return tl::unexpected(evicted.error());
    if (*evicted != 0) return {};
    return failed(Failure::kNoSpace, "nothing in file " + std::to_string(file.info.number) +
                                         " can be evicted: its regions are being filled, or are "
                                         "pinned; remove objects, or mount more files");
}

Result<> Evictor::lookAfter(const KnownFile& file, Deadline deadline) {
    const Turn turn(*this, file.info.number, deadline);
    if (turn.state == nullptr) return {};
    auto now = look(file, *turn.state, deadline);
    if (!now) return tl::unexpected(now.error());
    const auto finished = finishOthers(*now, deadline);
    if (!finished) return tl::unexpected(finished.error());
    const auto evicted = evict(*now, evictionsDue(now->facts, 0), deadline);
    if (!evicted) return tl::unexpected(evicted.error());
    if (*evicted == 0) return {};
    // There is room now, and what moves there makes as much.
    for (const Victim& victim : std::exchange(now->postponed, {})) {
        const auto moved = evictOne(*now, victim, deadline);
        if (!moved) return tl::unexpected(moved.error());
    }
    return {};
}

Result<Evictor::Look> Evictor::look(const KnownFile& file, State& state, Deadline deadline) {
    const auto taken = directory_.regions(file.info.number, deadline);
    if (!taken) return tl::unexpected(taken.error());
    Look now{file, state, {}, {}, {}};
    now.facts.resize(file.geometry.regions);
    for (RegionIndex i = 0; i < file.geometry.regions; ++i) {
        now.facts[i].index = i;
        now.facts[i].clean = true;  // never taken
    }
    uint32_t clean = file.geometry.regions;
    for (const Region& region : *taken) {
        if (region.id.index >= now.facts.size()) continue;
        RegionFacts& facts = now.facts[region.id.index];
        facts.clean = region.state == RegionState::kClean;
        facts.sealed = region.state == RegionState::kSealed && !isLeftOut(state, region);
        facts.last_read = region.last_used;
        facts.live_bytes = region.use.bytes;
        if (!facts.clean) --clean;
        const auto pins = state.pins.find(region.id.index);
        if (pins != state.pins.end() && pins->second.generation == region.generation) {
            facts.soft_bytes = pins->second.pinned.soft;
            facts.hard_bytes = pins->second.pinned.hard;
        }
        now.regions.emplace(region.id.index, region);
    }
    file.load->clean = clean;
    return now;
}

// What clients that are gone have left: cleaning that was begun, regions that are open.
Result<size_t> Evictor::finishOthers(Look& look, Deadline deadline) {
    size_t made = 0;
    std::optional<std::unordered_set<ClientId>> alive;
    const ClientId self = directory_.lease().client;
    for (auto& [index, region] : look.regions) {
        const bool cleaning = region.state == RegionState::kCleaning;
        const bool open = region.state == RegionState::kOpen;
        if (!cleaning && !open) continue;
        if (open && region.owner == self) continue;
        if (isLeftOut(look.state, region)) continue;
        if (!alive) {
            const auto clients = directory_.clients(deadline);
            if (!clients) return tl::unexpected(clients.error());
            alive.emplace();
            for (const ClientInfo& client : *clients) alive->insert(client.id);
        }
        // One's own turn at this file has just begun: what one began to clean was not ended.
        if (region.owner != self && alive->contains(region.owner)) continue;
        if (open) {
            if (auto sealed = sealOrphan(look, region, deadline); !sealed) {
                return tl::unexpected(sealed.error());
            }
            continue;
        }
        const Generation before = region.generation - 1;
        const auto table = tableOf(look.file, index, before);
        if (!table) {
            if (!leaveOut(look, region, deadline)) return tl::unexpected(table.error());
            continue;
        }
        if (const auto cleaned = clean(look.file, region, before, *table, deadline); cleaned) {
            look.facts[index].clean = true;
            ++made;
        } else if (cleaned.error().failure != Failure::kConflict) {
            return tl::unexpected(cleaned.error());
        }
    }
    return made;
}

// Only after its writer's last I/O can have ended.
Result<> Evictor::sealOrphan(Look& look, const Region& region, Deadline deadline) {
    const auto now = Clock::now();
    auto& orphan = look.state.orphans[region.id.index];
    if (orphan.generation != region.generation) orphan = {region.generation, now};
    if (now < orphan.since + io_bound_) return {};
    const auto table = tableOf(look.file, region.id.index, region.generation);
    if (!table) {
        if (!leaveOut(look, region, deadline)) return tl::unexpected(table.error());
        return {};
    }
    const auto use = committedIn(region, table->records, deadline);
    if (!use) return tl::unexpected(use.error());
    const auto sealed = directory_.sealRegion(region.id, region.generation, *use, deadline);
    if (!sealed && sealed.error().failure != Failure::kConflict) return sealed;
    look.state.orphans.erase(region.id.index);
    if (sealed) counters_.add(&ClientStatistics::regions_sealed);
    return {};
}

// What its writer did not come to commit is in its table, too.
Result<RegionUse> Evictor::committedIn(const Region& region,
                                       const std::vector<TableRecord>& records, Deadline deadline) {
    std::vector<std::string> keys;
    for (const TableRecord& record : records) keys.push_back(record.key);
    const auto entries = directory_.lookup(keys, deadline);
    if (!entries) return tl::unexpected(entries.error());
    RegionUse use;
    for (size_t i = 0; i < records.size(); ++i) {
        const auto isThis = [&](const Extent& extent) {
            return extent.region == region.id && extent.generation == region.generation &&
                   extent.offset == uint64_t{records[i].block} * kBlockBytes;
        };
        const auto& entry = (*entries)[i];
        if (!entry || std::none_of(entry->replicas.begin(), entry->replicas.end(),
                                   [&](const Replica& replica) {
                                       return std::any_of(replica.begin(), replica.end(), isThis);
                                   })) {
            continue;
        }
        use.bytes += records[i].length;
        ++use.objects;
    }
    return use;
}

Result<size_t> Evictor::evict(Look& look, size_t count, Deadline deadline) {
    size_t made = 0;
    while (made < count) {
        const auto victims = chooseVictims(look.facts, look.file.geometry.region_bytes, 1);
        if (victims.empty()) {
            // What was pinned may have been removed since.
            look.state.pins.clear();
            break;
        }
        const auto evicted = evictOne(look, victims.front(), deadline);
        if (!evicted) return tl::unexpected(evicted.error());
        made += *evicted ? 1 : 0;
    }
    return made;
}

// @return false where another one is to be chosen, now that more is known
Result<bool> Evictor::evictOne(Look& look, const Victim& victim, Deadline deadline) {
    RegionFacts& facts = look.facts[victim.index];
    const Region& region = look.regions.at(victim.index);
    const auto table = tableOf(look.file, victim.index, region.generation);
    if (!table) {
        if (!leaveOut(look, region, deadline)) return tl::unexpected(table.error());
        return false;
    }
    const auto known = look.state.pins.find(victim.index);
    if (known == look.state.pins.end() || known->second.generation != region.generation) {
        const auto pinned = mover_.count(region, table->records, deadline);
        if (!pinned) return tl::unexpected(pinned.error());
        look.state.pins[victim.index] = {region.generation, *pinned};
        facts.soft_bytes = pinned->soft;
        facts.hard_bytes = pinned->hard;
        if (pinned->soft + pinned->hard != 0) return false;
    }
    if (victim.move != PinsToMove::kNone) {
        const uint8_t pins = victim.move == PinsToMove::kAll ? kSoftPin | kHardPin : kHardPin;
        const auto moved = mover_.move(look.file, region, table->records, pins, deadline);
        if (!moved && moved.error().failure != Failure::kNoSpace) {
            return tl::unexpected(moved.error());
        }
        const auto left = mover_.count(region, table->records, deadline);
        if (!left) return tl::unexpected(left.error());
        if (left->hard != 0) {
            // Not now; and the next one may need no room.
            facts.sealed = false;
            look.postponed.push_back(victim);
            return false;
        }
    }
    const auto cleaned = clean(look.file, region, region.generation, *table, deadline);
    facts.sealed = false;
    if (!cleaned) {
        // Another node was first.
        if (cleaned.error().failure == Failure::kConflict) return false;
        return tl::unexpected(cleaned.error());
    }
    facts.clean = true;
    look.state.pins.erase(victim.index);
    return true;
}

// @param generation  of the entries that go
Result<> Evictor::clean(const KnownFile& file, const Region& region, Generation generation,
                        const RegionTable& table, Deadline deadline) {
    const auto begun = directory_.beginClean(region.id, generation, deadline);
    if (!begun) return tl::unexpected(begun.error());
    std::unordered_set<std::string> keys;
    for (const TableRecord& record : table.records) keys.insert(record.key);
    const std::vector<std::string> all(keys.begin(), keys.end());
    for (const std::string& key : all) cache_.drop(key);
    if (auto dropped = directory_.dropOlder(all, region.id, begun->generation, deadline);
        !dropped) {
        return dropped;
    }
    if (auto ended = directory_.endClean(region.id, begun->generation, deadline); !ended) {
        return ended;
    }
    ++file.load->clean;
    counters_.add(&ClientStatistics::regions_evicted);
    counters_.add(&ClientStatistics::objects_evicted, all.size());
    return {};
}

bool Evictor::isLeftOut(const State& state, const Region& region) {
    const auto at = state.unreadable.find(region.id.index);
    return at != state.unreadable.end() && at->second.generation == region.generation &&
           Clock::now() < at->second.since + kLeftOut;
}

// The region's table could not be read. One bad place on a disk must not keep all else; a file that
// cannot be reached does.
// @return whether the rest can go on without it
bool Evictor::leaveOut(Look& look, const Region& region, Deadline deadline) {
    const auto way = files_.wayTo(look.file);
    if (!way || Clock::now() >= deadline) return false;
    EngineFile reader(engine_, *way, look.file.info.description.size);
    if (!readSuperblock(reader)) return false;
    LOG(WARNING) << "store: the table of region " << toString(region.id)
                 << " cannot be read; the region is left as it is for " << kLeftOut.count()
                 << " minutes; see whether its disk has errors";
    look.state.unreadable[region.id.index] = {region.generation, Clock::now()};
    look.facts[region.id.index].sealed = false;
    return true;
}

Result<RegionTable> Evictor::tableOf(const KnownFile& file, RegionIndex region,
                                     Generation generation) {
    const auto way = files_.wayTo(file);
    if (!way) {
        return failed(Failure::kUnavailable, "file " + std::to_string(file.info.number) +
                                                 " of the store cannot be reached");
    }
    EngineFile reader(engine_, *way, file.info.description.size);
    return readRegionTable(reader, file.geometry, file.info.description.uuid, region, generation);
}

}  // namespace mooncake::store
