// SPDX-License-Identifier: Apache-2.0
// The tables of a directory in SQLite.
#pragma once

#include "ids.h"
#include "sqlite_connection.h"

namespace mooncake::store {

// Sets a connection up. Every one needs it.
Result<> prepareConnection(SqliteConnection* connection, Deadline deadline);

// Makes the tables where the file is empty; several processes may do so at once.
// @param fresh  the id that a new directory gets
// @return the store's id
// kUnsupported for a database of another program or version.
Result<Uuid> openSchema(SqliteConnection* connection, const Uuid& fresh, Deadline deadline);

}  // namespace mooncake::store
