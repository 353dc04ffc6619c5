// SPDX-License-Identifier: Apache-2.0
// Reads many keys of etcd, in as few requests as it takes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "etcd_store.h"

namespace mooncake::store {

enum class EtcdWant { kCount, kValue };

// Tells of each key that is there, in any order. With kCount the answer has no value in it.
Result<> readKeys(const EtcdStore& store, const std::vector<std::string>& keys, EtcdWant want,
                  const std::function<void(size_t at, const rpc::RangeResponse& answer)>& found,
                  Deadline deadline);

}  // namespace mooncake::store
