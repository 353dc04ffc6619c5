// SPDX-License-Identifier: Apache-2.0
#include "pin_mover.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>

#include "membership.h"
#include "placer.h"
#include "random_id.h"
#include "region_writer.h"

namespace mooncake::store {
namespace {

// Of objects in memory at one time.
constexpr uint64_t kMostBytes = 16 << 20;

struct Free {
    void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory memoryFor(uint64_t bytes) {
    const uint64_t whole = (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
    Memory memory(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, whole)));
    if (!memory) throw std::bad_alloc();
    return memory;
}

}  // namespace

// What the directory still says to be in the region, of the objects with these pins.
Result<std::vector<PinMover::Part>> PinMover::parts(const Region& region,
                                                    const std::vector<TableRecord>& records,
                                                    uint8_t pins, Deadline deadline) {
    std::vector<const TableRecord*> pinned;
    std::vector<std::string> keys;
    for (const TableRecord& record : records) {
        if ((record.flags & pins) == 0) continue;
        pinned.push_back(&record);
        keys.push_back(record.key);
    }
    std::vector<Part> found;
    if (keys.empty()) return found;
    const auto entries = directory_.lookup(keys, deadline);
    if (!entries) return tl::unexpected(entries.error());
    for (size_t i = 0; i < pinned.size(); ++i) {
        const auto& entry = (*entries)[i];
        if (!entry) continue;
        for (size_t replica = 0; replica < entry->replicas.size(); ++replica) {
            const Replica& extents = entry->replicas[replica];
            for (size_t extent = 0; extent < extents.size(); ++extent) {
                const Extent& one = extents[extent];
                if (one.region == region.id && one.generation == region.generation &&
                    one.offset == uint64_t{pinned[i]->block} * kBlockBytes) {
                    found.push_back({pinned[i], *entry, replica, extent});
                }
            }
        }
    }
    return found;
}

Result<PinMover::Pinned> PinMover::count(const Region& region,
                                         const std::vector<TableRecord>& records,
                                         Deadline deadline) {
    const auto found = parts(region, records, kSoftPin | kHardPin, deadline);
    if (!found) return tl::unexpected(found.error());
    Pinned pinned;
    for (const Part& part : *found) {
        const bool is_hard = (part.entry.flags & kHardPin) != 0;
        (is_hard ? pinned.hard : pinned.soft) += part.record->length;
    }
    return pinned;
}

Result<> PinMover::move(const KnownFile& file, const Region& region,
                        const std::vector<TableRecord>& records, uint8_t pins, Deadline deadline) {
    for (bool again = true; again;) {
        again = false;
        const auto found = parts(region, records, pins, deadline);
        if (!found) return tl::unexpected(found.error());
        for (auto part = found->begin(); part != found->end() && !again;) {
            uint64_t bytes = 0;
            auto end = part;
            // Of one object a part at a time: each changes the entry that it was found in.
            while (end != found->end() &&
                   (end == part || (bytes + end->record->length <= kMostBytes &&
                                    end->record->key != (end - 1)->record->key))) {
                bytes += (end++)->record->length;
            }
            const auto moved = moveSome(file, &*part, &*part + (end - part), deadline);
            if (!moved) return tl::unexpected(moved.error());
            // Of the last one there is another part here, and its entry may be a new one now.
            again =
                *moved != 0 && end != found->end() && end->record->key == (end - 1)->record->key;
            part = end;
        }
    }
    return {};
}

// In the same file, else in another one of a node that has no copy yet.
Result<> PinMover::makeRoom(RegionWriter& writer, size_t copy, const KnownFile& file,
                            const Part& part, Deadline deadline) {
    auto grown = writer.grow(copy, file, deadline);
    if (grown || grown.error().failure != Failure::kNoSpace) return grown;
    const auto known = files_.files();
    Placer placer(known, {}, randomId());
    placer.exclude(file.info.number);
    std::vector<const KnownFile*> besides;
    for (size_t i = 0; i < part.entry.replicas.size(); ++i) {
        if (i == part.replica) continue;
        for (const Extent& extent : part.entry.replicas[i]) {
            const auto at = known->find(extent.region.file);
            if (at == known->end() || !at->second.info.mount) continue;
            if (besides.empty() || besides.back() != &at->second) besides.push_back(&at->second);
        }
    }
    for (;;) {
        const KnownFile* const other = placer.another(besides, part.record->length);
        if (other == nullptr) return grown;
        if (auto there = writer.grow(copy, *other, deadline); there) return there;
        placer.exclude(other->info.number);
    }
}

// @return how many were moved
Result<size_t> PinMover::moveSome(const KnownFile& file, const Part* begin, const Part* end,
                                  Deadline deadline) {
    const auto way = files_.wayTo(file);
    if (!way) return failed(Failure::kUnavailable, "the file of a pinned object is not reachable");
    const auto number = static_cast<size_t>(end - begin);
    std::vector<Memory> memory;
    std::vector<Slice> slices;
    std::vector<ExtentIo> extents;
    for (const Part* part = begin; part != end; ++part) {
        const Extent& extent = part->entry.replicas[part->replica][part->extent];
        memory.push_back(memoryFor(extent.length));
        slices.push_back({memory.back().get(), extent.length});
        extents.push_back({file.placeOf(*way, extent), extent.length, extent.checksum});
    }
    std::vector<GetItem> gets;
    for (size_t i = 0; i < number; ++i) gets.push_back({{&slices[i], 1}, {&extents[i], 1}});
    data_.get(gets, deadline);

    RegionWriter writer(open_, files_, data_);
    std::vector<std::optional<size_t>> copies(number);
    Result<> room;
    for (size_t i = 0; i < number && room; ++i) {
        if (gets[i].outcome != Outcome::kOk) continue;
        const size_t copy = writer.begin(*begin[i].record, slices[i].size, {&slices[i], 1});
        room = makeRoom(writer, copy, file, begin[i], deadline);
        if (room) {
            copies[i] = copy;
        } else {
            writer.abandon(copy);
        }
    }
    writer.write(writeUntil(directory_, deadline));
    std::vector<Change> changes;
    std::vector<size_t> changed;
    for (size_t i = 0; i < number; ++i) {
        if (!copies[i] || !writer.isWritten(*copies[i])) continue;
        Change change{begin[i].record->key, begin[i].entry, Change::When::kUnchanged,
                      begin[i].entry};
        Replica& replica = change.entry.replicas[begin[i].replica];
        const Replica& moved = writer.extents(*copies[i]);
        replica.erase(replica.begin() + static_cast<ptrdiff_t>(begin[i].extent));
        replica.insert(replica.begin() + static_cast<ptrdiff_t>(begin[i].extent), moved.begin(),
                       moved.end());
        changes.push_back(std::move(change));
        changed.push_back(i);
    }
    size_t moves = 0;
    if (!changes.empty()) {
        const uint64_t mark = cache_.mark();
        const auto outcomes = directory_.commit(changes, deadline);
        if (!outcomes) return tl::unexpected(outcomes.error());
        for (size_t i = 0; i < changes.size(); ++i) {
            if ((*outcomes)[i] != ChangeOutcome::kDone) continue;
            writer.committed(*copies[changed[i]]);
            cache_.put(changes[i].key, std::make_shared<ObjectEntry>(std::move(changes[i].entry)),
                       mark);
            counters_.add(&ClientStatistics::objects_moved);
            ++moves;
        }
    }
    if (!room) return tl::unexpected(room.error());
    return moves;
}

}  // namespace mooncake::store
