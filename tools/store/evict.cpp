// SPDX-License-Identifier: Apache-2.0
#include <json/json.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <string_view>
#include <unordered_set>

#include "commands.h"
#include "eviction.h"
#include "progress.h"
#include "units.h"

namespace mooncake::store::tool {
namespace {

struct Evicted {
    uint64_t regions = 0;
    uint64_t objects = 0;  // that had a copy there
};

// The regions of the file, as they were when they were looked at.
struct Regions {
    std::map<RegionIndex, RegionFacts> facts;
    std::map<RegionIndex, Generation> generations;
};

// With the bytes of live objects in each, by their pins.
Result<Regions> lookAt(const Asked& asked, FileNumber file, Output& output) {
    Regions looked;
    auto& facts = looked.facts;
    auto& generations = looked.generations;
    const auto regions = asked.directory.regions(file, asked.deadline());
    if (!regions) return tl::unexpected(regions.error());
    for (const Region& region : *regions) {
        RegionFacts& one = facts[region.id.index];
        one.index = region.id.index;
        one.clean = region.state == RegionState::kClean;
        one.sealed = region.state == RegionState::kSealed;
        one.last_read = region.last_used;
        generations[region.id.index] = region.generation;
    }
    Progress progress(output, "objects looked at:", 0);
    const auto listed = forEachObject(asked, "", [&](const std::string&, const ObjectEntry& entry) {
        for (const Replica& replica : entry.replicas) {
            for (const Extent& extent : replica) {
                const auto at = facts.find(extent.region.index);
                if (extent.region.file != file || at == facts.end() ||
                    generations[extent.region.index] != extent.generation) {
                    continue;
                }
                at->second.live_bytes += extent.length;
                if ((entry.flags & kHardPin) != 0) {
                    at->second.hard_bytes += extent.length;
                } else if ((entry.flags & kSoftPin) != 0) {
                    at->second.soft_bytes += extent.length;
                }
            }
        }
        progress.add(1);
        return true;
    });
    if (!listed) return tl::unexpected(listed.error());
    return looked;
}

Result<std::map<RegionIndex, std::vector<std::string>>> keysIn(
    const Asked& asked, FileNumber file, const std::vector<RegionIndex>& victims, Output& output) {
    std::map<RegionIndex, std::vector<std::string>> keys;
    for (const RegionIndex victim : victims) keys[victim];
    Progress progress(output, "objects looked at:", 0);
    const auto listed =
        forEachObject(asked, "", [&](const std::string& key, const ObjectEntry& entry) {
            for (auto& [victim, found] : keys) {
                if (std::any_of(entry.replicas.begin(), entry.replicas.end(),
                                [&](const Replica& replica) {
                                    return touches(replica, {file, victim});
                                })) {
                    found.push_back(key);
                }
            }
            progress.add(1);
            return true;
        });
    if (!listed) return tl::unexpected(listed.error());
    return keys;
}

// Makes the region's entries invalid in one step, and then takes them away.
// @param generation  that was judged; kConflict where there is another one by now, whose objects
//     may be pinned
Result<> clean(const Asked& asked, RegionId id, Generation generation,
               const std::vector<std::string>& keys) {
    const auto begun = asked.directory.beginClean(id, generation, asked.deadline());
    if (!begun) return tl::unexpected(begun.error());
    if (auto dropped = asked.directory.dropOlder(keys, id, begun->generation, asked.deadline());
        !dropped) {
        return dropped;
    }
    return asked.directory.endClean(id, begun->generation, asked.deadline());
}

void print(FileNumber file, const Evicted& evicted, bool json, std::ostream& out) {
    if (!json) {
        out << evicted.regions << " regions of file " << file << " are clean, " << evicted.objects
            << " objects had a copy there\n";
        return;
    }
    Json::Value report;
    report["file"] = file;
    report["regions"] = static_cast<Json::UInt64>(evicted.regions);
    report["objects"] = static_cast<Json::UInt64>(evicted.objects);
    printJson(report, out);
}

}  // namespace

Result<bool> evict(const Asked& asked, const CommandLine& line, Output& output) {
    const auto file = findFile(asked, line.arguments[0]);
    if (!file) return tl::unexpected(file.error());
    const auto looked = lookAt(asked, file->number, output);
    if (!looked) return tl::unexpected(looked.error());
    std::vector<RegionFacts> regions;
    for (const auto& [index, one] : looked->facts) regions.push_back(one);
    std::vector<RegionIndex> victims;
    const auto region_bytes = static_cast<uint32_t>(file->description.region_size);
    for (const Victim& victim : chooseVictims(regions, region_bytes, regions.size())) {
        // Moving pinned objects takes their bytes, which is the store's own business.
        if (victim.move == PinsToMove::kNone && victims.size() < line.regions) {
            victims.push_back(victim.index);
        }
    }
    const auto keys = keysIn(asked, file->number, victims, output);
    if (!keys) return tl::unexpected(keys.error());
    if (auto joined = asked.directory.join("mooncake_file_store", asked.deadline()); !joined) {
        return tl::unexpected(joined.error());
    }
    Evicted evicted;
    std::unordered_set<std::string_view> gone;  // an object may lie in several of them
    Progress progress(output, "evicting", victims.size());
    for (const RegionIndex victim : victims) {
        const auto& in_it = keys->at(victim);
        const auto done =
            clean(asked, {file->number, victim}, looked->generations.at(victim), in_it);
        // Somebody else was quicker.
        if (!done && done.error().failure == Failure::kConflict) continue;
        if (!done) return tl::unexpected(done.error());
        ++evicted.regions;
        gone.insert(in_it.begin(), in_it.end());
        progress.add(1);
    }
    if (auto left = asked.directory.leave(asked.deadline()); !left) {
        return tl::unexpected(left.error());
    }
    evicted.objects = gone.size();
    print(file->number, evicted, line.json, output.out);
    return evicted.regions == line.regions;
}

}  // namespace mooncake::store::tool
