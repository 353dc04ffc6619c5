// SPDX-License-Identifier: Apache-2.0
// The table of files.
#pragma once

#include <vector>

#include "directory_backend.h"
#include "sqlite_database.h"

namespace mooncake::store {

class SqliteFiles : public FileRecords {
 public:
    explicit SqliteFiles(SqliteDatabase* database) : database_(database) {}

    Result<FileInfo> add(const FileDescription& description, Deadline deadline) override;
    Result<> mount(FileNumber file, const Mount& mount, Deadline deadline) override;
    Result<> unmount(ClientId client, FileNumber file, Deadline deadline) override;
    Result<> giveUp(FileNumber file, Deadline deadline) override;
    Result<std::vector<FileInfo>> list(Deadline deadline) override;
    Result<std::vector<FreeRegions>> freeRegions(Deadline deadline) override;

 private:
    using Kind = SqliteDatabase::Kind;

    SqliteDatabase* const database_;
};

}  // namespace mooncake::store
