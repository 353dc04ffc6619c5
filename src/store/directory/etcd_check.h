// SPDX-License-Identifier: Apache-2.0
// What an operator should know of the etcd that has a directory.
#pragma once

#include <vector>

#include "etcd_store.h"

namespace mooncake::store {

Result<std::vector<Finding>> checkEtcd(const EtcdStore& store, Deadline deadline);

}  // namespace mooncake::store
