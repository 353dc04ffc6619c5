// SPDX-License-Identifier: Apache-2.0
#include "backed_directory.h"
#include "directory.h"
#include "directory_address.h"
#include "sqlite_backend.h"
#ifdef USE_ETCD
#include "etcd_backend.h"
#endif

namespace mooncake::store {

namespace {

Result<std::unique_ptr<DirectoryBackend>> openBackend(const DirectoryAddress& address,
                                                      const DirectoryOptions& options,
                                                      Counters* counters, Deadline deadline) {
    if (address.kind == DirectoryAddress::Kind::kSqlite) {
        return openSqliteBackend(address.path, options, counters, deadline);
    }
#ifdef USE_ETCD
    return openEtcdBackend(address.servers, address.store, options, counters, deadline);
#else
    return failed(Failure::kUnsupported,
                  "this library was built without USE_ETCD and has no directory on etcd");
#endif
}

}  // namespace

Result<std::unique_ptr<Directory>> Directory::open(const std::string& address,
                                                   const DirectoryOptions& options,
                                                   Deadline deadline) {
    const auto parsed = parseDirectoryAddress(address);
    if (!parsed) return tl::unexpected<Error>(parsed.error());
    auto counters = std::make_unique<Counters>();
    auto backend = openBackend(*parsed, options, counters.get(), deadline);
    if (!backend) return tl::unexpected<Error>(backend.error());
    return std::make_unique<BackedDirectory>(std::move(counters), std::move(*backend), options);
}

}  // namespace mooncake::store
