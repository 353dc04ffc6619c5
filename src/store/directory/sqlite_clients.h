// SPDX-License-Identifier: Apache-2.0
// The table of clients and their leases.
#pragma once

#include <string>
#include <vector>

#include "directory_backend.h"
#include "sqlite_database.h"

namespace mooncake::store {

class SqliteClients : public ClientRecords {
 public:
    SqliteClients(SqliteDatabase* database, std::chrono::milliseconds lease)
        : database_(database), lease_(lease) {}

    Result<Joined> add(const std::string& node, Deadline deadline) override;
    Result<> remove(ClientId client, Deadline deadline) override;
    Result<BootClock::time_point> renew(ClientId client, Deadline deadline) override;
    Result<std::vector<ClientInfo>> list(Deadline deadline) override;

 private:
    using Kind = SqliteDatabase::Kind;

    SqliteDatabase* const database_;
    const std::chrono::milliseconds lease_;
};

}  // namespace mooncake::store
