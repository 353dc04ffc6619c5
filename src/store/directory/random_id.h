// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

namespace mooncake::store {

// From 1 to 2^63 - 1: etcd's leases and SQLite's integers have a sign. Thread-safe.
inline uint64_t randomId() {
    std::random_device device;
    for (;;) {
        const uint64_t id = (uint64_t{device()} << 32 | device()) >> 1;
        if (id != 0) return id;
    }
}

}  // namespace mooncake::store
