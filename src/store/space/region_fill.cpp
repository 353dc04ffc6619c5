// SPDX-License-Identifier: Apache-2.0
#include "region_fill.h"

namespace mooncake::store {
namespace {

constexpr uint32_t kPartsInRegion = 32;

}  // namespace

RegionFill::RegionFill(uint32_t region_bytes)
    : blocks_(region_bytes / kBlockBytes), smallest_part_(region_bytes / kPartsInRegion) {}

uint64_t RegionFill::roomLocked(uint32_t page_blocks) const {
    const uint32_t taken = data_end_ + table_blocks_ + page_blocks;
    return taken >= blocks_ ? 0 : uint64_t{blocks_ - taken} * kBlockBytes;
}

std::optional<RegionFill::Piece> RegionFill::take(uint64_t wanted, uint32_t page_blocks) {
    const std::lock_guard lock(mutex_);
    if (wanted == 0) return std::nullopt;
    if (table_blocks_ + page_blocks - oldest_pending_ > kMostPageBlocksPending) return std::nullopt;
    const uint64_t room = roomLocked(page_blocks);
    Piece piece{data_end_, wanted, 0};
    if (wanted > room) {
        if (wanted <= smallest_part_ || room < smallest_part_) return std::nullopt;
        piece.length = room;
    }
    data_end_ += static_cast<uint32_t>((piece.length + kBlockBytes - 1) / kBlockBytes);
    for (uint32_t i = 0; i < page_blocks; ++i) {
        pending_.set(table_blocks_++ % kMostPageBlocksPending);
    }
    piece.page_block = blocks_ - table_blocks_;
    return piece;
}

void RegionFill::pageDone(uint32_t block, uint32_t blocks) {
    const std::lock_guard lock(mutex_);
    const uint32_t last = blocks_ - block;  // one beyond, by the count from the end
    for (uint32_t i = last - blocks; i < last; ++i) pending_.reset(i % kMostPageBlocksPending);
    while (oldest_pending_ < table_blocks_ &&
           !pending_.test(oldest_pending_ % kMostPageBlocksPending)) {
        ++oldest_pending_;
    }
}

uint32_t RegionFill::dataEnd() const {
    const std::lock_guard lock(mutex_);
    return data_end_;
}

uint64_t RegionFill::room() const {
    const std::lock_guard lock(mutex_);
    return roomLocked(1);
}

}  // namespace mooncake::store
