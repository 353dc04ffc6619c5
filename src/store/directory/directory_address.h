// SPDX-License-Identifier: Apache-2.0
// Which directory a string means.
#pragma once

#include <string>

#include "error.h"

namespace mooncake::store {

struct DirectoryAddress {
    enum class Kind { kSqlite, kEtcd };
    Kind kind = Kind::kSqlite;
    std::string path;     // of the database
    std::string servers;  // of etcd, as the metadata service takes them
    std::string store;    // the store's name within etcd
};

// @param text  as Directory::open() takes it; empty: what MC_STORE_DIRECTORY says, else
//     /var/lib/mooncake/store.db
// kInvalid, with the cause and a remedy, for what is neither.
Result<DirectoryAddress> parseDirectoryAddress(const std::string& text);

}  // namespace mooncake::store
