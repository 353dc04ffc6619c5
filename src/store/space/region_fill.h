// SPDX-License-Identifier: Apache-2.0
// Which blocks of an open region are given to whom: data from the begin upwards, pages of the table
// from the end downwards.
#pragma once

#include <bitset>
#include <cstdint>
#include <mutex>
#include <optional>

#include "table_page.h"

namespace mooncake::store {

// Blocks of the table that may be given out beyond the first one that is not yet known to be
// written. So a reader who finds as many blocks in a row without a page knows that there are no
// more, and need not read a region that was hardly filled.
constexpr uint32_t kMostPageBlocksPending = 256;

// Of one region, by the one client that fills it.
//
// Thread rule: any thread.
class RegionFill {
 public:
    explicit RegionFill(uint32_t region_bytes);

    struct Piece {
        uint32_t block = 0;       // where the part of the object begins
        uint64_t length = 0;      // bytes of it
        uint32_t page_block = 0;  // where the page begins, if one was asked for
    };

    // Takes room for an object of which `wanted` bytes are left, and for a page of `page_blocks`.
    // All that is wanted, where that fits. Of what is larger than a 32nd of the region, all that
    // fits, if that is a 32nd or more: the rest goes into other regions, and no region loses more
    // than that at its end. Else nothing, and the region is done with as far as this object goes.
    // Without anything wanted there is none, and of a page alone neither.
    std::optional<Piece> take(uint64_t wanted, uint32_t page_blocks);

    // The page is down. One that could not be written is never done: the region comes to its end
    // soon after.
    void pageDone(uint32_t block, uint32_t blocks);

    // The first block that no data were given.
    uint32_t dataEnd() const;
    // Bytes of data that can still be given, with a page for them.
    uint64_t room() const;

 private:
    uint64_t roomLocked(uint32_t page_blocks) const;

    const uint32_t blocks_;
    const uint64_t smallest_part_;  // bytes
    mutable std::mutex mutex_;
    uint32_t data_end_ = 0;
    uint32_t table_blocks_ = 0;    // given, counted from the end of the region
    uint32_t oldest_pending_ = 0;  // the same; those before it are down
    // By the count modulo the bound: given and not yet down.
    std::bitset<kMostPageBlocksPending> pending_;
};

}  // namespace mooncake::store
