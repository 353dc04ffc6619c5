// SPDX-License-Identifier: Apache-2.0
#include "directory.h"
#include "directory_address.h"
#include "sqlite_directory.h"
#ifdef USE_ETCD
#include "etcd_directory.h"
#endif

namespace mooncake::store {

Result<std::unique_ptr<Directory>> Directory::open(const std::string& address,
                                                   const DirectoryOptions& options,
                                                   Deadline deadline) {
    const auto parsed = parseDirectoryAddress(address);
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    if (parsed->kind == DirectoryAddress::Kind::kSqlite) {
        return SqliteDirectory::open(parsed->path, options, deadline);
    }
#ifdef USE_ETCD
    return EtcdDirectory::open(parsed->servers, parsed->store, options, deadline);
#else
    return failed(Failure::kUnsupported,
                  "this library was built without USE_ETCD and has no directory on etcd");
#endif
}

}  // namespace mooncake::store
