// SPDX-License-Identifier: Apache-2.0
// The rows of clients, files and regions that several calls read and write.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "boot_clock.h"
#include "directory_types.h"
#include "record_codec.h"
#include "sqlite_connection.h"

namespace mooncake::store {

// As the tables have it.
inline uint64_t nanoseconds(BootClock::time_point time) {
    return static_cast<uint64_t>(time.time_since_epoch().count());
}

// @param boot  the kernel's, which the leases that hold name
bool isAlive(SqliteRun* run, const std::string& boot, ClientId client);

// A number that grows with every change of state.
uint64_t nextSequence(SqliteRun* run);

std::vector<FileInfo> readFiles(SqliteRun* run, const std::string& boot);
std::optional<FileInfo> findFile(SqliteRun* run, const std::string& boot, FileNumber file);

std::optional<RegionRecord> findRegion(SqliteRun* run, RegionId region);
// @return the sequence that it got
uint64_t writeRegion(SqliteRun* run, RegionId region, const RegionRecord& record);

}  // namespace mooncake::store
