// SPDX-License-Identifier: Apache-2.0
#include "region_table.h"

#include <algorithm>

#include "region_fill.h"

namespace mooncake::store {
namespace {

constexpr uint32_t kChunkBlocks = 64;

class Reader {
 public:
    Reader(const Uuid& uuid, RegionIndex region, std::optional<Generation> generation)
        : uuid_(uuid), region_(region), generation_(generation) {}

    // Takes the page that begins at this block of the region, if there is one.
    // @return its blocks, or 0
    uint32_t look(std::span<const std::byte> memory, uint32_t block) {
        auto page = readPage(memory, uuid_, region_, block);
        if (!page) return 0;
        const uint32_t blocks = page->place.blocks;
        const Generation generation = page->place.generation;
        if (generation_ ? generation != *generation_ : generation < table_.generation) {
            // Of another life of the region. While the newest is searched for, what is older may be
            // all that there is, so it keeps the search going.
            if (!generation_) lowest_page_ = std::min(lowest_page_, block);
            return blocks;
        }
        if (generation != table_.generation) {
            table_ = {};
            table_.generation = generation;
        }
        lowest_page_ = std::min(lowest_page_, block);
        table_.data_end = std::max(table_.data_end, page->data_end);
        ++table_.pages;
        std::move(page->records.begin(), page->records.end(), std::back_inserter(table_.records));
        return blocks;
    }

    // Whether there may be pages below this block.
    bool goesOn(uint32_t block, uint32_t region_blocks) const {
        const uint32_t last = std::min(lowest_page_, region_blocks);
        // Where the newest is searched for, the end of an older one's data says nothing.
        const bool above_data = !generation_ || block > table_.data_end;
        return above_data && last - block < kMostPageBlocksPending;
    }

    RegionTable take() { return std::move(table_); }

 private:
    const Uuid& uuid_;
    const RegionIndex region_;
    const std::optional<Generation> generation_;
    RegionTable table_;
    uint32_t lowest_page_ = UINT32_MAX;
};

}  // namespace

Result<RegionTable> readRegionTable(BlockFile& file, const Geometry& geometry, const Uuid& uuid,
                                    RegionIndex region, std::optional<Generation> generation) {
    Reader reader(uuid, region, generation);
    const uint32_t blocks = geometry.blocksInRegion();
    const uint64_t begin = geometry.offsetOf(region);
    // A chunk, and the block after it: a page of two blocks may begin in the chunk's last one.
    std::vector<std::byte> memory((kChunkBlocks + 1) * size_t{kBlockBytes});
    for (uint32_t end = blocks; end > 0 && reader.goesOn(end, blocks);) {
        const uint32_t from = end - std::min(end, kChunkBlocks);
        const uint32_t to = std::min(end + 1, blocks);
        const std::span<std::byte> chunk(memory.data(), size_t{to - from} * kBlockBytes);
        const auto read = file.read(begin + uint64_t{from} * kBlockBytes, chunk);
        if (!read) return tl::unexpected(read.error());
        for (uint32_t block = from; block < end;) {
            const auto here = chunk.subspan(size_t{block - from} * kBlockBytes);
            block += std::max(reader.look(here, block), 1U);
        }
        end = from;
    }
    return reader.take();
}

}  // namespace mooncake::store
