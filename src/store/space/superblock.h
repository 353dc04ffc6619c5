// SPDX-License-Identifier: Apache-2.0
// The first block of a file, which tells whose it is. It is written when the file becomes one of
// the store, and never changed. A copy half way through the header survives what partitioning tools
// write at the beginning of a disk.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "block_file.h"
#include "geometry.h"
#include "ids.h"

namespace mooncake::store {

constexpr uint32_t kSuperblockVersion = 1;
constexpr uint64_t kSuperblockCopyAt = kHeaderBytes / 2;
constexpr size_t kMaxStoreName = 255;

struct Superblock {
    std::string store;  // the name of the store that the file belongs to
    Uuid file;
    uint64_t file_bytes = 0;  // when it was made
    Geometry geometry;
    uint64_t made_ms = 0;  // milliseconds since 1970, to be shown
    // Its objects go with the process that made it.
    bool scratch = false;

    bool operator==(const Superblock&) const = default;
};

using SuperblockBytes = std::array<std::byte, kBlockBytes>;

// kInvalid for a store's name that is empty or too long.
Result<SuperblockBytes> encodeSuperblock(const Superblock& superblock);

enum class SuperblockState {
    kGood,
    kAbsent,        // there is none
    kOtherVersion,  // of a version that this program does not know
    kDamaged,       // there was one
};

struct SuperblockReading {
    SuperblockState state = SuperblockState::kAbsent;
    Superblock superblock;      // where it is good
    uint32_t version = 0;       // where it is another one
    bool needs_repair = false;  // good, but the other copy is not the same
};

// Of one block.
SuperblockReading decodeSuperblock(const SuperblockBytes& bytes);

// Of both copies: the first one counts where it is good, else the second. kUnavailable where
// neither can be read.
Result<SuperblockReading> readSuperblock(BlockFile& file);

// Writes the copy first, then the first one: until that is down, the file is what it was before.
Result<> writeSuperblock(BlockFile& file, const Superblock& superblock);

}  // namespace mooncake::store
