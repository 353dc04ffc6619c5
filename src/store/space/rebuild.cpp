// SPDX-License-Identifier: Apache-2.0
#include "rebuild.h"

#include <algorithm>
#include <tuple>

namespace mooncake::store {

void Rebuild::add(FileNumber file, RegionIndex region, Generation generation,
                  const std::vector<TableRecord>& records) {
    for (const TableRecord& record : records) {
        Put& put = puts_[record.key][record.put_id];
        put.size = record.size;
        put.flags = record.flags;
        put.time_ms = record.time_ms;
        put.parts.push_back({record.replica,
                             record.object_offset,
                             {{file, region},
                              generation,
                              uint64_t{record.block} * kBlockBytes,
                              record.length,
                              record.checksum}});
    }
}

// Whether there is a whole replica.
bool Rebuild::assemble(Put put, ObjectEntry* entry) {
    *entry = {put.size, put.flags, put.time_ms, {}};
    std::sort(put.parts.begin(), put.parts.end(), [](const Part& a, const Part& b) {
        return std::tie(a.replica, a.object_offset) < std::tie(b.replica, b.object_offset);
    });
    for (auto part = put.parts.begin(); part != put.parts.end();) {
        const uint32_t replica = part->replica;
        Replica extents;
        uint64_t end = 0;
        for (; part != put.parts.end() && part->replica == replica; ++part) {
            // A gap stays one: what comes after it does not begin where it should.
            if (part->object_offset != end) continue;
            extents.push_back(part->extent);
            end += part->extent.length;
        }
        if (end == put.size) entry->replicas.push_back(std::move(extents));
    }
    return checkEntry(*entry).has_value();
}

std::vector<Rebuild::Object> Rebuild::objects() const {
    std::vector<Object> objects;
    for (const auto& [key, puts] : puts_) {
        std::vector<std::tuple<uint64_t, uint64_t, const Put*>> newest;
        for (const auto& [id, put] : puts) newest.emplace_back(put.time_ms, id, &put);
        std::sort(newest.rbegin(), newest.rend());
        for (const auto& [time, id, put] : newest) {
            Object object{key, {}};
            if (!assemble(*put, &object.entry)) continue;
            objects.push_back(std::move(object));
            break;
        }
    }
    std::sort(objects.begin(), objects.end(),
              [](const Object& a, const Object& b) { return a.key < b.key; });
    return objects;
}

}  // namespace mooncake::store
