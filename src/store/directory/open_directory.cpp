// SPDX-License-Identifier: Apache-2.0
#include "directory.h"
#include "directory_address.h"
#include "sqlite_directory.h"

namespace mooncake::store {

Result<std::unique_ptr<Directory>> Directory::open(const std::string& address,
                                                   const DirectoryOptions& options,
                                                   Deadline deadline) {
    const auto parsed = parseDirectoryAddress(address);
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    if (parsed->kind == DirectoryAddress::Kind::kSqlite) {
        return SqliteDirectory::open(parsed->path, options, deadline);
    }
    return failed(Failure::kUnsupported, "this library has no directory on etcd");
}

}  // namespace mooncake::store
