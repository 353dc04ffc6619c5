// SPDX-License-Identifier: Apache-2.0
// What one batch of puts writes into one region: parts of objects, and the pages that describe
// them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "region_fill.h"
#include "table_page.h"

namespace mooncake::store {

// Used by one thread. The order of calls: add for every part; the checksums, as they become known;
// seal; write the pages; done for each that is down.
class RegionRun {
 public:
    // Keeps `fill`.
    RegionRun(std::shared_ptr<RegionFill> fill, const Uuid& file, RegionIndex region,
              Generation generation);

    struct Part {
        uint32_t page = 0;    // which page of the run has its record
        uint32_t record = 0;  // which record of that page
        uint32_t block = 0;   // where in the region it lies
        uint32_t length = 0;  // bytes
    };

    // Takes room for the part of an object that begins at `record.object_offset`, as much of it as
    // RegionFill gives, and notes it in a page. `record` says all but block, length and checksum.
    // Nothing where the region is at its end: the object goes on in another one.
    std::optional<Part> add(const TableRecord& record) {
        return add(record, record.size - record.object_offset);
    }
    // The same of at most `wanted` bytes.
    std::optional<Part> add(const TableRecord& record, uint64_t wanted);

    void setChecksum(const Part& part, const Checksum128& checksum);
    // The bytes of the pages are what is to be written, until the run is destroyed.
    void seal();

    struct Page {
        uint64_t offset = 0;  // bytes from the begin of the region
        std::span<const std::byte> bytes;
    };
    size_t pages() const { return pages_.size(); }
    Page page(size_t number) const;
    void done(size_t number);

    RegionIndex region() const { return region_; }
    Generation generation() const { return generation_; }

 private:
    const std::shared_ptr<RegionFill> fill_;
    const Uuid file_;
    const RegionIndex region_;
    const Generation generation_;
    std::deque<Block> memory_;  // one for each page; those of two blocks are in long_
    std::deque<std::array<Block, kMaxPageBlocks>> long_;
    std::vector<PageBuilder> pages_;
};

}  // namespace mooncake::store
