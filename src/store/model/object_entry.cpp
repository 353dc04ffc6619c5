// SPDX-License-Identifier: Apache-2.0
#include "object_entry.h"

#include <algorithm>
#include <limits>

namespace mooncake::store {

namespace {

Result<> checkReplica(const Replica& replica, uint64_t size) {
    if (replica.empty() || replica.size() > kMaxExtents) {
        return failed(Failure::kInvalid, "a replica has " + std::to_string(replica.size()) +
                                             " extents; it takes 1 to " +
                                             std::to_string(kMaxExtents));
    }
    uint64_t rest = size;
    for (const Extent& extent : replica) {
        if (extent.region.file == 0 || extent.generation == 0) {
            return failed(Failure::kInvalid, "an extent lies in file or generation 0");
        }
        if (extent.length == 0 || extent.length > rest) {
            return failed(Failure::kInvalid, "the extents of a replica do not add up to the size");
        }
        if (extent.offset > std::numeric_limits<uint64_t>::max() - extent.length) {
            return failed(Failure::kInvalid, "an extent ends beyond 2^64 bytes");
        }
        rest -= extent.length;
    }
    if (rest != 0) {
        return failed(Failure::kInvalid, "the extents of a replica do not add up to the size");
    }
    return {};
}

template <class Matches>
bool dropReplicas(ObjectEntry* entry, const Matches& matches) {
    return std::erase_if(entry->replicas, matches) != 0;
}

}  // namespace

Result<> checkKey(std::string_view key) {
    if (key.empty()) return failed(Failure::kInvalid, "the key is empty");
    if (key.size() <= kMaxKeyBytes) return {};
    return failed(Failure::kInvalid, "the key has " + std::to_string(key.size()) +
                                         " bytes; it takes at most " +
                                         std::to_string(kMaxKeyBytes));
}

Result<> checkEntry(const ObjectEntry& entry) {
    if (entry.size == 0) return failed(Failure::kInvalid, "the object has no bytes");
    if ((entry.flags & ~(kSoftPin | kHardPin)) != 0) {
        return failed(Failure::kInvalid, "the entry has an unknown flag");
    }
    if (entry.replicas.empty() || entry.replicas.size() > kMaxReplicas) {
        return failed(Failure::kInvalid, "the entry has " + std::to_string(entry.replicas.size()) +
                                             " replicas; it takes 1 to " +
                                             std::to_string(kMaxReplicas));
    }
    for (const Replica& replica : entry.replicas) {
        if (auto checked = checkReplica(replica, entry.size); !checked) return checked;
    }
    return {};
}

bool touches(const Replica& replica, const RegionId& region) {
    return std::any_of(replica.begin(), replica.end(),
                       [&](const Extent& extent) { return extent.region == region; });
}

bool dropOlder(ObjectEntry* entry, const RegionId& region, Generation generation) {
    return dropReplicas(entry, [&](const Replica& replica) {
        return std::any_of(replica.begin(), replica.end(), [&](const Extent& extent) {
            return extent.region == region && extent.generation < generation;
        });
    });
}

bool dropReplica(ObjectEntry* entry, const Replica& replica) {
    return dropReplicas(entry, [&](const Replica& one) { return one == replica; });
}

}  // namespace mooncake::store
