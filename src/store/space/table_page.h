// SPDX-License-Identifier: Apache-2.0
// A region's table of contents, which makes the data describe itself.
//
// Data grow from the begin of the region upwards, the table from its end downwards; the region is
// full where they meet. The table consists of pages. A page has one block, or two for a record with
// a long key. It is written once, in parallel with the data that it describes, and never changed,
// so that a write that is torn, or never happens, costs the objects of that page and no others.
// Each page says which region, of which file and generation, it belongs to and where in it: a page
// of an older generation, or one that somebody has put elsewhere, counts for nothing.
//
// What it costs: a put writes one page for some 24 objects with keys of 100 bytes. 64 objects of
// 1 MiB in a batch cost 12 KiB (0.02 %), a single one of 64 KiB costs 4 KiB (6 %).
//
// An object begins on a block, so that it goes straight from and to the caller's memory: half a
// block is lost for each, 3 % for objects of 64 KiB, 0.05 % for 4 MiB. Small objects are not packed
// into common blocks. Their number is bounded by the directory long before their padding counts: 15
// million objects, the most that one etcd holds, lose 60 GiB if each has a single byte, and pools
// are counted in TiB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "block_file.h"
#include "ids.h"
#include "object_entry.h"

namespace mooncake::store {

constexpr uint32_t kMaxPageBlocks = 2;

struct alignas(kBlockBytes) Block {
    std::byte bytes[kBlockBytes];
};

// A part of an object that lies in the region, and what the directory is to say of the object.
struct TableRecord {
    std::string key;
    // Drawn at random for each put: tells apart what was put under one key at different times.
    uint64_t put_id = 0;
    uint64_t size = 0;  // of the object
    uint8_t flags = 0;  // as in ObjectEntry
    uint64_t time_ms = 0;
    uint32_t replica = 0;        // which one of the object
    uint64_t object_offset = 0;  // where in the object the part begins
    uint32_t block = 0;          // where in the region
    uint32_t length = 0;         // bytes, at least 1
    Checksum128 checksum;        // of these bytes

    bool operator==(const TableRecord&) const = default;
};

// Which page it is.
struct PagePlace {
    Uuid file;
    RegionIndex region = 0;
    Generation generation = 0;
    uint32_t block = 0;   // where in the region
    uint32_t blocks = 0;  // 1 or 2

    bool operator==(const PagePlace&) const = default;
};

struct TablePage {
    PagePlace place;
    // The data that the region had when the page was written lie in the blocks before this one.
    uint32_t data_end = 0;
    std::vector<TableRecord> records;
};

// Fills one page in the caller's memory. Its bytes are to be written when it is sealed.
class PageBuilder {
 public:
    // Room for records in a page of so many blocks.
    static size_t capacity(uint32_t blocks);
    // What a record takes, at most.
    static size_t recordBytes(std::string_view key);
    // Blocks of a page that can hold this record.
    static uint32_t blocksFor(std::string_view key);

    // Keeps `memory`, which has the blocks of `place`.
    PageBuilder(const PagePlace& place, std::span<Block> memory);

    bool hasRoomFor(std::string_view key) const;
    // The checksum may follow; there must be room.
    // @return the record's number in the page
    uint32_t add(const TableRecord& record);
    void setChecksum(uint32_t record, const Checksum128& checksum);
    void seal(uint32_t data_end);

    const PagePlace& place() const { return place_; }
    std::span<const std::byte> bytes() const { return std::as_bytes(memory_); }

 private:
    PagePlace place_;
    std::span<Block> memory_;
    size_t used_;  // bytes of the page
    std::vector<size_t> checksums_at_;
};

// The page that begins with this memory, where that is one of this region and place, whole and
// unchanged. Its generation is any.
// @param memory  at least one block; a page of two is found only where both are there
std::optional<TablePage> readPage(std::span<const std::byte> memory, const Uuid& file,
                                  RegionIndex region, uint32_t block);

}  // namespace mooncake::store
