// SPDX-License-Identifier: Apache-2.0
#include "sqlite_records.h"

#include <glog/logging.h>

#include "refusals.h"

namespace mooncake::store {

bool isAlive(SqliteRun* run, const std::string& boot, ClientId client) {
    if (client == 0) return false;
    auto rows = run->select("SELECT 1 FROM client WHERE id = ? AND boot = ? AND ends > ?", client,
                            std::string_view(boot), nanoseconds(BootClock::now()));
    return rows.next();
}

uint64_t nextSequence(SqliteRun* run) {
    auto rows = run->select("UPDATE store SET sequence = sequence + 1 RETURNING sequence");
    uint64_t sequence = 0;
    while (rows.next()) sequence = rows.number(0);
    return sequence;
}

std::vector<FileInfo> readFiles(SqliteRun* run, const std::string& boot) {
    std::vector<FileInfo> found;
    auto rows = run->select(
        "SELECT number, record, mount, EXISTS(SELECT 1 FROM client WHERE id = mounted_by AND "
        "boot = ? AND ends > ?) FROM file ORDER BY number",
        std::string_view(boot), nanoseconds(BootClock::now()));
    while (rows.next()) {
        FileInfo info;
        info.number = static_cast<FileNumber>(rows.number(0));
        const auto record = decodeFile(rows.bytes(1));
        if (!record) {
            LOG(ERROR) << damagedRecord("file " + std::to_string(info.number)).message;
            continue;
        }
        info.description = record->description;
        info.state = record->state;
        if (!rows.isNull(2) && rows.number(3) != 0) info.mount = decodeMount(rows.bytes(2));
        found.push_back(std::move(info));
    }
    return found;
}

std::optional<FileInfo> findFile(SqliteRun* run, const std::string& boot, FileNumber file) {
    for (FileInfo& info : readFiles(run, boot)) {
        if (info.number == file) return std::move(info);
    }
    return std::nullopt;
}

std::optional<RegionRecord> findRegion(SqliteRun* run, RegionId region) {
    auto rows = run->select("SELECT record FROM region WHERE file = ? AND number = ?",
                            uint64_t{region.file}, uint64_t{region.index});
    if (!rows.next()) return std::nullopt;
    return decodeRegion(rows.bytes(0));
}

uint64_t writeRegion(SqliteRun* run, RegionId region, const RegionRecord& record) {
    const uint64_t sequence = nextSequence(run);
    const std::string bytes = encodeRegion(record);
    run->run(
        "INSERT INTO region VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "state = excluded.state, record = excluded.record, used = excluded.used, "
        "change = excluded.change",
        uint64_t{region.file}, uint64_t{region.index}, static_cast<uint64_t>(record.state),
        std::string_view(bytes), sequence, sequence);
    return sequence;
}

}  // namespace mooncake::store
