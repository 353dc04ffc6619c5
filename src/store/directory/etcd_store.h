// SPDX-License-Identifier: Apache-2.0
// A store's place in etcd, and what its parts write and ask in the same way.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bytes.h"
#include "directory_types.h"
#include "etcd_cluster.h"
#include "etcd_keys.h"

namespace mooncake::store {

// etcd's own limit is 128, of what a transaction and the largest of those in it have together.
constexpr size_t kEtcdOperations = 120;
// etcd's own limit of a request is 1.5 MiB.
constexpr size_t kEtcdRequestBytes = 1200000;

struct EtcdStore {
    const std::unique_ptr<EtcdCluster> cluster;
    const EtcdKeys keys;
};

inline bool isLate(Deadline deadline) {
    return std::chrono::steady_clock::now() >= deadline;
}

inline Error tooLate(const std::string& what) {
    return {Failure::kTimeout,
            what + ": others change it all the time, and this call's time is up"};
}

inline std::string numberText(uint64_t number) {
    std::string bytes;
    putVarint(&bytes, number);
    return bytes;
}

// 0 where there is no such key; none for what is no number.
inline std::optional<uint64_t> numberOf(const rpc::KeyValue* value) {
    uint64_t number = 0;
    if (value == nullptr) return number;
    ByteReader reader(value->value());
    if (!reader.varint(&number) || reader.left() != 0) return std::nullopt;
    return number;
}

// 0 where there is no such key.
inline int64_t revisionOf(const rpc::KeyValue* value) {
    return value == nullptr ? 0 : value->mod_revision();
}

}  // namespace mooncake::store
