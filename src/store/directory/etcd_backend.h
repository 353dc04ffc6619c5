// SPDX-License-Identifier: Apache-2.0
// A directory in etcd, for the nodes of a cluster.
#pragma once

#include <memory>
#include <string>

#include "counters.h"
#include "directory_backend.h"

namespace mooncake::store {

// @param servers  as the metadata service takes them
// @param store  the store's name within etcd
Result<std::unique_ptr<DirectoryBackend>> openEtcdBackend(const std::string& servers,
                                                          const std::string& store,
                                                          const DirectoryOptions& options,
                                                          Counters* counters, Deadline deadline);

}  // namespace mooncake::store
