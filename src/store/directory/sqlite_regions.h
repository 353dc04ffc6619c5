// SPDX-License-Identifier: Apache-2.0
// The table of regions.
#pragma once

#include <vector>

#include "directory_backend.h"
#include "sqlite_database.h"

namespace mooncake::store {

class SqliteRegions : public RegionRecords {
 public:
    explicit SqliteRegions(SqliteDatabase* database) : database_(database) {}

    Result<Region> take(ClientId client, FileNumber file, Deadline deadline) override;
    Result<Region> move(ClientId client, RegionId region, const Rule& rule,
                        Deadline deadline) override;
    Result<std::vector<Region>> list(FileNumber file, Deadline deadline) override;
    Result<> touch(const std::vector<RegionId>& regions, Deadline deadline) override;

 private:
    using Kind = SqliteDatabase::Kind;

    Result<Region> handOut(SqliteDatabase::Turn turn, Region region);

    SqliteDatabase* const database_;
};

}  // namespace mooncake::store
