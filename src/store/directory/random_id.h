// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace mooncake::store {

// From 1 to 2^63 - 1: etcd's leases and SQLite's integers have a sign. Thread-safe. Straight from
// the kernel: std::random_device asks the processor what it can each time one is made, which takes
// a virtual one 20 us.
inline uint64_t randomId() {
    for (;;) {
        uint64_t id = 0;
        if (getentropy(&id, sizeof(id)) != 0) {
            throw std::system_error(errno, std::generic_category(), "getentropy");
        }
        id >>= 1;
        if (id != 0) return id;
    }
}

}  // namespace mooncake::store
