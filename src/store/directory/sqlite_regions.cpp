// SPDX-License-Identifier: Apache-2.0
#include "sqlite_regions.h"

#include "random_id.h"
#include "refusals.h"
#include "sqlite_records.h"

namespace mooncake::store {

Result<Region> SqliteRegions::take(ClientId client, FileNumber file, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    SqliteRun* run = turn->get();
    if (!isAlive(run, database_->boot(), client) && run->ok()) return leaseLost(client);
    RegionId id{file, 0};
    RegionRecord record{RegionState::kOpen, 1, client, randomId(), {}};
    bool found = false;
    {
        auto rows =
            run->select("SELECT number, record FROM region WHERE file = ? AND state = 1 LIMIT 1",
                        uint64_t{file});
        if (rows.next()) {
            found = true;
            id.index = static_cast<RegionIndex>(rows.number(0));
            const auto now = decodeRegion(rows.bytes(1));
            if (!now) return tl::unexpected<Error>(damagedRecord("region " + toString(id)));
            record.generation = now->generation;
        }
    }
    while (!found && run->ok()) {
        auto rows = run->select(
            "UPDATE file SET untouched = untouched + 1 WHERE number = ? AND uuid IS NOT NULL AND "
            "untouched < regions RETURNING untouched - 1",
            uint64_t{file});
        if (!rows.next()) break;
        id.index = static_cast<RegionIndex>(rows.number(0));
        while (rows.next()) {
        }
        // Adopted ones lie beyond, too.
        found = !findRegion(run, id);
    }
    if (!found && run->ok()) {
        const auto info = findFile(run, database_->boot(), file);
        if (!info || info->state != FileState::kActive) return noSuchFile(file);
        return noCleanRegion(file);
    }
    const uint64_t used = writeRegion(run, id, record);
    return handOut(std::move(*turn), record.with(id, used));
}

// A generation must not be given twice, also not after a power cut. Before that nothing needs to be
// on the disk: what a region was before, and what was committed, is flushed with it.
Result<Region> SqliteRegions::handOut(SqliteDatabase::Turn turn, Region region) {
    if (auto done = database_->finish(&turn); !done) return tl::unexpected<Error>(done.error());
    {
        // Others may commit meanwhile.
        const auto ended = std::move(turn);
    }
    if (auto done = database_->flush(); !done) return tl::unexpected<Error>(done.error());
    return region;
}

Result<Region> SqliteRegions::move(ClientId client, RegionId region, const Rule& rule,
                                   Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    SqliteRun* run = turn->get();
    if (!isAlive(run, database_->boot(), client) && run->ok()) return leaseLost(client);
    const auto info = findFile(run, database_->boot(), region.file);
    const auto now = findRegion(run, region);
    const bool owner_lives = now && isAlive(run, database_->boot(), now->owner);
    if (!run->ok()) return run->error();
    if (!info || info->state != FileState::kActive || region.index >= info->description.regions) {
        return noSuchRegion(region);
    }
    const NextRegion next = rule(now, owner_lives);
    if (!next) return tl::unexpected<Error>(next.error());
    if (!*next) return now->with(region, 0);
    const uint64_t used = writeRegion(run, region, **next);
    const Region moved = (*next)->with(region, used);
    if (moved.state == RegionState::kOpen) return handOut(std::move(*turn), moved);
    return database_->finish(&*turn, moved);
}

Result<std::vector<Region>> SqliteRegions::list(FileNumber file, Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<Region> found;
    {
        auto rows = (*turn)->select(
            "SELECT number, record, used FROM region WHERE file = ? ORDER BY number",
            uint64_t{file});
        while (rows.next()) {
            const RegionId id{file, static_cast<RegionIndex>(rows.number(0))};
            const auto record = decodeRegion(rows.bytes(1));
            if (!record) return tl::unexpected<Error>(damagedRecord("region " + toString(id)));
            found.push_back(record->with(id, rows.number(2)));
        }
    }
    return database_->finish(&*turn, std::move(found));
}

Result<> SqliteRegions::touch(const std::vector<RegionId>& regions, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const uint64_t sequence = nextSequence(turn->get());
    for (const RegionId& region : regions) {
        (*turn)->run("UPDATE region SET used = ? WHERE file = ? AND number = ?", sequence,
                     uint64_t{region.file}, uint64_t{region.index});
    }
    return database_->finish(&*turn);
}

}  // namespace mooncake::store
