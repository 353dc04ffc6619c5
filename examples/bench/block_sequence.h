// SPDX-License-Identifier: Apache-2.0
// Which blocks a thread reads and writes, in which order, and how often it has written each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace mooncake::bench {

/// A file of the segment as the workload sees it.
struct FileSpan {
    uint32_t id;    ///< file buffer id
    uint64_t size;  ///< bytes
};

/// The part of a file that belongs to one thread.
struct BlockRange {
    uint32_t file;        ///< file buffer id
    uint64_t firstBlock;  ///< in units of the block size
    uint64_t blockCount;  ///< at least 1
};

/// Divides the whole blocks of every file over the threads: nothing is left out, nothing is in two
/// ranges, and shares differ by one block at most.
/// @param blockSize  bytes; @param thread  0 to threads - 1
/// @return one range for each file with at least one block for this thread, in the order of `files`
std::vector<BlockRange> divideFiles(const std::vector<FileSpan>& files, uint64_t blockSize,
                                    uint64_t threads, uint64_t thread);

/// One block to transfer.
struct BlockRef {
    uint32_t file;
    uint64_t offset;      ///< bytes from the start of the file
    bool write;           ///< else it is to be read
    uint64_t generation;  ///< tracked: how often it has been written, with this time
    uint64_t index;       ///< of all blocks of the sequence, the ranges one after the other
    size_t range;         ///< that it is of
};

/// How blocks follow each other.
struct SequenceRules {
    uint64_t blockSize = 4096;  ///< bytes
    /// Sequential: neighbours to take from a file before the next file's turn.
    uint64_t run = 1;
    bool random = false;
    unsigned readPercent = 100;  ///< of the blocks, chosen at random where it is not 0 or 100
    /// Remember what was written how often, and give no block a second time before giveBack(): of
    /// two writes under way together it would be unknown which one stays. Five bytes a block.
    bool tracked = false;
    uint64_t seed = 1;  ///< of what is random
};

/// Goes through the blocks of some ranges for ever. Sequential: in each range one after the other,
/// from the end back to the start; between ranges in turn, so that all files are kept busy. Random:
/// every block is as likely as any other. Not thread-safe.
class BlockSequence {
 public:
    /// @param ranges  at least one
    BlockSequence(const std::vector<BlockRange>& ranges, const SequenceRules& rules);

    /// Takes the next blocks.
    /// @param count  how many, at most
    /// @param blocks  replaced. Tracked, there may be fewer, and none at all while every block is
    ///     under way; otherwise `count`
    void take(uint64_t count, std::vector<BlockRef>& blocks);

    /// Tracked: these blocks are not under way any more.
    void giveBack(const std::vector<BlockRef>& blocks);

    /// Blocks in all ranges together.
    uint64_t blockCount() const { return blockCount_; }

    /// Bytes of memory for tracking `blocks` blocks.
    static uint64_t trackingBytes(uint64_t blocks) { return blocks * (sizeof(uint32_t) + 1); }

    /// Tracked: lists what has been written, each block once, with its generation.
    /// @param cursor  where to go on; 0 to begin, changed by the call
    /// @param blocks  replaced; at most `count`, to be read; empty when there are no more
    void visited(uint64_t& cursor, uint64_t count, std::vector<BlockRef>& blocks) const;

 private:
    struct Walk {
        BlockRange range;
        uint64_t firstIndex;
        uint64_t next = 0;  // within the range
    };

    /// Sets `walk` and the block within it. @return false while every block is under way
    bool nextSequential(size_t& walk, uint64_t& within);
    bool nextRandom(size_t& walk, uint64_t& within);
    bool isFree(uint64_t index) const { return !rules_.tracked || underWay_[index] == 0; }
    void step();
    size_t walkOf(uint64_t index) const;
    BlockRef refer(size_t walk, uint64_t within) const;

    const SequenceRules rules_;
    std::vector<Walk> walks_;
    uint64_t blockCount_ = 0;
    size_t current_ = 0;
    uint64_t inRun_ = 0;
    std::mt19937_64 random_;
    std::vector<uint32_t> generations_;
    std::vector<uint8_t> underWay_;
    uint64_t underWayCount_ = 0;
};

}  // namespace mooncake::bench
