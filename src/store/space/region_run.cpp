// SPDX-License-Identifier: Apache-2.0
#include "region_run.h"

namespace mooncake::store {

RegionRun::RegionRun(std::shared_ptr<RegionFill> fill, const Uuid& file, RegionIndex region,
                     Generation generation)
    : fill_(std::move(fill)), file_(file), region_(region), generation_(generation) {}

std::optional<RegionRun::Part> RegionRun::add(const TableRecord& record, uint64_t wanted) {
    const bool has_page = !pages_.empty() && pages_.back().hasRoomFor(record.key);
    const uint32_t page_blocks = has_page ? 0 : PageBuilder::blocksFor(record.key);
    const auto piece = fill_->take(wanted, page_blocks);
    if (!piece) return std::nullopt;
    if (!has_page) {
        const PagePlace place{file_, region_, generation_, piece->page_block, page_blocks};
        const std::span<Block> memory = page_blocks == 1
                                            ? std::span<Block>(&memory_.emplace_back(), 1)
                                            : std::span<Block>(long_.emplace_back());
        pages_.emplace_back(place, memory);
    }
    TableRecord complete = record;
    complete.block = piece->block;
    complete.length = static_cast<uint32_t>(piece->length);
    const uint32_t number = pages_.back().add(complete);
    return Part{static_cast<uint32_t>(pages_.size() - 1), number, piece->block, complete.length};
}

void RegionRun::setChecksum(const Part& part, const Checksum128& checksum) {
    pages_[part.page].setChecksum(part.record, checksum);
}

void RegionRun::seal() {
    const uint32_t data_end = fill_->dataEnd();
    for (PageBuilder& page : pages_) page.seal(data_end);
}

RegionRun::Page RegionRun::page(size_t number) const {
    const PageBuilder& page = pages_[number];
    return {uint64_t{page.place().block} * kBlockBytes, page.bytes()};
}

void RegionRun::done(size_t number) {
    const PagePlace& place = pages_[number].place();
    fill_->pageDone(place.block, place.blocks);
}

}  // namespace mooncake::store
