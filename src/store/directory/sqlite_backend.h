// SPDX-License-Identifier: Apache-2.0
// A directory in a file of SQLite (WAL mode), for the processes of one machine.
#pragma once

#include <memory>
#include <string>

#include "counters.h"
#include "directory_backend.h"

namespace mooncake::store {

Result<std::unique_ptr<DirectoryBackend>> openSqliteBackend(const std::string& path,
                                                            const DirectoryOptions& options,
                                                            Counters* counters, Deadline deadline);

}  // namespace mooncake::store
