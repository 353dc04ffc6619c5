// SPDX-License-Identifier: Apache-2.0
// What the directory holds of an object: everything that a reader needs to fetch it and to know
// that it is the right one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "ids.h"

namespace mooncake::store {

// The key is the user's, any bytes.
constexpr size_t kMaxKeyBytes = 4096;
constexpr size_t kMaxReplicas = 16;
// Of one replica: 64 MiB regions make up 4 TiB then.
constexpr size_t kMaxExtents = 65536;
// So that a change of one entry fits into a request of etcd at its defaults (1.5 MiB).
constexpr size_t kMaxEntryBytes = size_t{1} << 20;

// XXH3's 128 bits over an extent's bytes.
struct Checksum128 {
    uint64_t low = 0;
    uint64_t high = 0;

    bool operator==(const Checksum128&) const = default;
};

// A run of bytes in one region.
struct Extent {
    RegionId region;
    Generation generation = 0;  // of the region when the bytes were written
    uint64_t offset = 0;        // bytes from the begin of the region
    uint64_t length = 0;        // bytes, at least 1
    Checksum128 checksum;

    bool operator==(const Extent&) const = default;
};

// The extents of a whole copy of the object, in order.
using Replica = std::vector<Extent>;

// Flags of an entry.
constexpr uint8_t kSoftPin = 1;  // evicted last
constexpr uint8_t kHardPin = 2;  // never evicted

struct ObjectEntry {
    uint64_t size = 0;  // bytes, at least 1
    uint8_t flags = 0;
    // Of its put, milliseconds since 1970, by the clock of the node that put it: to be shown, and
    // to tell the newest put where a lost directory is made again.
    uint64_t time_ms = 0;
    std::vector<Replica> replicas;  // at least one

    bool operator==(const ObjectEntry&) const = default;
};

// kInvalid where the key is empty or longer than kMaxKeyBytes.
Result<> checkKey(std::string_view key);

// kInvalid where the entry breaks a rule of this header: every replica's lengths add up to the
// size, there are neither too many nor none, no file is number 0, no flag is unknown.
Result<> checkEntry(const ObjectEntry& entry);

// Whether a part of the replica lies in that region.
bool touches(const Replica& replica, const RegionId& region);

// Takes out every replica with an extent in `region` that is older than `generation`.
// @return whether there was one; the entry may have no replica left then
bool dropOlder(ObjectEntry* entry, const RegionId& region, Generation generation);

// Takes out the replica that equals `replica`.
// @return whether there was one; the entry may have no replica left then
bool dropReplica(ObjectEntry* entry, const Replica& replica);

}  // namespace mooncake::store
