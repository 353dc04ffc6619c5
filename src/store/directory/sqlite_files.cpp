// SPDX-License-Identifier: Apache-2.0
#include "sqlite_files.h"

#include "refusals.h"
#include "sqlite_records.h"

namespace mooncake::store {

namespace {

std::string_view bytesOf(const Uuid& uuid) {
    return {reinterpret_cast<const char*>(uuid.bytes.data()), uuid.bytes.size()};
}

}  // namespace

Result<std::vector<FileInfo>> SqliteFiles::list(Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    auto found = readFiles(turn->get(), database_->boot());
    return database_->finish(&*turn, std::move(found));
}

Result<FileInfo> SqliteFiles::add(const FileDescription& description, Deadline deadline) {
    auto turn = database_->begin(Kind::kDurableWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    FileNumber number = 0;
    {
        auto rows =
            (*turn)->select("SELECT number FROM file WHERE uuid = ?", bytesOf(description.uuid));
        if (rows.next()) number = static_cast<FileNumber>(rows.number(0));
    }
    if (number == 0) {
        const std::string record = encodeFile({description, FileState::kActive});
        auto rows = (*turn)->select(
            "INSERT INTO file(uuid, record, untouched, regions) VALUES(?, ?, 0, ?) "
            "RETURNING number",
            bytesOf(description.uuid), std::string_view(record), uint64_t{description.regions});
        while (rows.next()) number = static_cast<FileNumber>(rows.number(0));
    }
    auto info = findFile(turn->get(), database_->boot(), number);
    if ((*turn)->ok() && !info) {
        return tl::unexpected<Error>(damagedRecord("file " + std::to_string(number)));
    }
    if (info && info->description != description) return otherDescription(*info);
    return database_->finish(&*turn, info ? std::move(*info) : FileInfo());
}

Result<> SqliteFiles::mount(FileNumber file, const Mount& mount, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const auto info = findFile(turn->get(), database_->boot(), file);
    if ((*turn)->ok() && (!info || info->state != FileState::kActive)) return noSuchFile(file);
    if (info && info->mount && info->mount->client != mount.client) return mountedElsewhere(*info);
    if ((*turn)->ok() && !isAlive(turn->get(), database_->boot(), mount.client))
        return leaseLost(mount.client);
    (*turn)->run("UPDATE file SET mount = ?, mounted_by = ? WHERE number = ?",
                 std::string_view(encodeMount(mount)), mount.client, uint64_t{file});
    return database_->finish(&*turn);
}

Result<> SqliteFiles::unmount(ClientId client, FileNumber file, Deadline deadline) {
    auto turn = database_->begin(Kind::kWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    (*turn)->run(
        "UPDATE file SET mount = NULL, mounted_by = NULL WHERE number = ? AND mounted_by = ?",
        uint64_t{file}, client);
    return database_->finish(&*turn);
}

Result<> SqliteFiles::giveUp(FileNumber file, Deadline deadline) {
    auto turn = database_->begin(Kind::kDurableWrite, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    const auto info = findFile(turn->get(), database_->boot(), file);
    if ((*turn)->ok() && !info) return noSuchFile(file);
    if (info && info->mount) return mountedElsewhere(*info);
    if (info && info->state == FileState::kActive) {
        (*turn)->run(
            "UPDATE file SET uuid = NULL, record = ?, mount = NULL, mounted_by = NULL "
            "WHERE number = ?",
            std::string_view(encodeFile({info->description, FileState::kGivenUp})), uint64_t{file});
        // Nobody takes one of them again.
        (*turn)->run("DELETE FROM region WHERE file = ?", uint64_t{file});
    }
    return database_->finish(&*turn);
}

Result<std::vector<FreeRegions>> SqliteFiles::freeRegions(Deadline deadline) {
    auto turn = database_->begin(Kind::kRead, deadline);
    if (!turn) return tl::unexpected<Error>(turn.error());
    std::vector<FreeRegions> found;
    {
        auto rows = (*turn)->select(
            "SELECT number, regions - untouched + (SELECT count(*) FROM region WHERE file = "
            "file.number AND state = 1) FROM file WHERE uuid IS NOT NULL ORDER BY number");
        while (rows.next()) {
            found.push_back(
                {static_cast<FileNumber>(rows.number(0)), static_cast<uint32_t>(rows.number(1))});
        }
    }
    return database_->finish(&*turn, std::move(found));
}

}  // namespace mooncake::store
