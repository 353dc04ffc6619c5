// SPDX-License-Identifier: Apache-2.0
// What changes in a directory on SQLite. Looks often: SQLite wakes nobody up.
#pragma once

#include <map>

#include "directory.h"
#include "sqlite_database.h"

namespace mooncake::store {

class SqliteWatch : public DirectoryWatch {
 public:
    explicit SqliteWatch(SqliteDatabase* database) : database_(database) {}

    Result<Changes> next(Deadline deadline) override;

 private:
    Result<Changes> look(Deadline deadline);

    SqliteDatabase* const database_;
    bool started_ = false;
    std::map<FileNumber, FileInfo> files_;
    uint64_t sequence_ = 0;
};

}  // namespace mooncake::store
