// SPDX-License-Identifier: Apache-2.0
// Data that says where it belongs: each 4 KiB carries file, offset, seed, run, generation and a
// checksum over the whole, so that a block that is misplaced, stale or torn is seen and told apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace mooncake::bench {

/// Bytes of one self-describing block.
inline constexpr size_t kPatternBlock = 4096;

/// Which block this is, and which of its versions.
struct BlockTag {
    uint32_t file;        ///< file buffer id within its segment
    uint64_t offset;      ///< bytes from the start of the file, a multiple of kPatternBlock
    uint64_t seed;        ///< --verify_seed
    uint64_t run;         ///< random for every writing run: tells its blocks from older ones
    uint64_t generation;  ///< how often this run has written the block, counted from 1

    bool operator==(const BlockTag&) const = default;
};

enum class BlockState {
    kGood,
    kZero,       ///< nothing but zeros: never written
    kForeign,    ///< no pattern, not zeros
    kTorn,       ///< the checksum does not fit: parts of different versions, or damaged
    kOtherFile,  ///< belongs to another file
    kMisplaced,  ///< belongs to another offset of this file
    kOtherSeed,  ///< written with another seed
    kStale,      ///< an older version: of an earlier generation, or of another run
    kTooNew,     ///< a generation not written yet
};

/// How much of a tag is known.
enum class Expect {
    kExactVersion,  ///< run and generation as well: the block was written by this run
    kAnyVersion,    ///< file, offset and seed only
};

/// What a check found.
struct BlockCheck {
    BlockState state;
    BlockTag found;       ///< what the block says of itself; undefined for kZero and kForeign
    size_t firstBadByte;  ///< kTorn: where the block first differs from what its tag promises
};

/// Writes one block.
/// @param block  kPatternBlock bytes, any alignment
void fillBlock(void* block, const BlockTag& tag);

/// Spoils one block so that the check fails unless every one of its 512-byte sectors is
/// overwritten: a read that moves nothing must not be taken for one that found what was there
/// before.
void poisonBlock(void* block);

/// Judges one block. @param expected  run and generation matter with Expect::kExactVersion only
BlockCheck checkBlock(const void* block, const BlockTag& expected, Expect expect);

/// One line: what was expected, what was found. @param check  not of state kGood
std::string describe(const BlockCheck& check, const BlockTag& expected, Expect expect);

}  // namespace mooncake::bench
