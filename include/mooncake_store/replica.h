// SPDX-License-Identifier: Apache-2.0
// Copies of an object: how many are wanted and where, and where they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace mooncake {

// How an object is to be kept. The first four fields are those of Mooncake's store.
struct ReplicateConfig {
    // Copies, 1 to 16, each on another node. With fewer nodes that have room there are as many
    // copies as such nodes, and the put succeeds.
    size_t replica_num{1};
    // Evicted after the objects that are not pinned.
    bool with_soft_pin{false};
    // The node on whose files the first copy goes, where that has room: the name of its segment
    // ("host:port") or its host. Empty: any.
    std::string preferred_segment{};
    // Without effect: the bytes of a copy are on one node as long as that has room.
    bool prefer_alloc_in_same_node{false};
    // Never evicted; goes by Remove and the like alone.
    bool with_hard_pin{false};
    // More preferred nodes, one for each further copy, the dearest first.
    std::vector<std::string> preferred_segments{};
};

std::ostream& operator<<(std::ostream& out, const ReplicateConfig& config);

// As in Mooncake's store. An object is in the directory when it is complete, so that a reader sees
// COMPLETE, or FAILED for a copy that cannot be reached now.
enum class ReplicaStatus { UNDEFINED = 0, INITIALIZED, PROCESSING, COMPLETE, REMOVED, FAILED };

std::ostream& operator<<(std::ostream& out, ReplicaStatus status);

struct Replica {
    // A run of the object's bytes in one region of one file.
    struct Extent {
        uint32_t file = 0;  // the directory's number of the file
        uint32_t region = 0;
        uint64_t generation = 0;  // of the region when the bytes were written
        uint64_t offset = 0;      // bytes from the begin of the region
        uint64_t length = 0;      // bytes
    };

    // One copy, as it was when it was asked for.
    struct Descriptor {
        ReplicaStatus status = ReplicaStatus::UNDEFINED;
        // Of the node that serves the first extent's file now; empty where none does.
        std::string segment;
        std::vector<Extent> extents;  // in the order of the object's bytes

        // Copies are in files, never in a node's memory.
        bool is_memory_replica() const noexcept { return false; }
        bool is_disk_replica() const noexcept { return true; }
    };
};

}  // namespace mooncake
