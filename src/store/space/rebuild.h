// SPDX-License-Identifier: Apache-2.0
// Entries from tables: what a lost directory held, as far as the files tell.
//
// Objects that were removed, or lost to another put of their key, come back: their bytes are still
// there. Of an object whose region was given to a new writer, who has overwritten it and not yet
// written a page, the checksum tells.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "object_entry.h"
#include "table_page.h"

namespace mooncake::store {

// Gathers the tables of all regions of all files, in any order.
class Rebuild {
 public:
    void add(FileNumber file, RegionIndex region, Generation generation,
             const std::vector<TableRecord>& records);

    struct Object {
        std::string key;
        ObjectEntry entry;
    };
    // Of each key the newest put of which at least one replica is whole, with the replicas that
    // are. By key, so that two files' worth of records give the same whatever order they came in.
    std::vector<Object> objects() const;

 private:
    struct Part {
        uint32_t replica = 0;
        uint64_t object_offset = 0;
        Extent extent;
    };
    struct Put {
        uint64_t size = 0;
        uint8_t flags = 0;
        uint64_t time_ms = 0;
        std::vector<Part> parts;
    };
    static bool assemble(Put put, ObjectEntry* entry);

    std::unordered_map<std::string, std::unordered_map<uint64_t, Put>> puts_;  // by key and put id
};

}  // namespace mooncake::store
