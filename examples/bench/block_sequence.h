// SPDX-License-Identifier: Apache-2.0
// Which blocks a thread touches, in which order, and how often it has written each.
#pragma once

#include <cstddef>
#include <cstdint>
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
    uint64_t generation;  ///< how often it will have been visited with this visit, from 1
};

/// Visits the blocks of some ranges for ever: in each range one after the other, from the end back
/// to the start; between ranges in turn, so that all files are kept busy. Not thread-safe.
class BlockSequence {
 public:
    /// @param blockSize  bytes
    /// @param batchSize  blocks that are usually taken at once: a file's share of them are
    /// neighbours
    BlockSequence(const std::vector<BlockRange>& ranges, uint64_t blockSize, uint64_t batchSize);

    /// Takes the next blocks.
    /// @param count  how many, at most
    /// @param distinct  stop before a block comes a second time: two writes to one block in flight
    ///     together leave it unknown which of them stays
    /// @param blocks  replaced; holds at least one block afterwards
    void take(uint64_t count, bool distinct, std::vector<BlockRef>& blocks);

    /// Blocks in all ranges together.
    uint64_t blockCount() const { return blockCount_; }

    /// Lists what has been visited, each block once, with its latest generation.
    /// @param cursor  where to go on; 0 to begin, changed by the call
    /// @param blocks  replaced; at most `count`, empty when there are no more
    void visited(uint64_t& cursor, uint64_t count, std::vector<BlockRef>& blocks) const;

 private:
    struct Walk {
        BlockRange range;
        uint64_t next = 0;        // within the range
        uint64_t generation = 1;  // of the block `next`
        uint64_t taken = 0;       // by the call to take() that is running
    };
    void step();

    std::vector<Walk> walks_;
    uint64_t blockSize_;
    uint64_t run_;  // neighbours to take from a file before the next file's turn
    uint64_t blockCount_ = 0;
    size_t current_ = 0;
    uint64_t inRun_ = 0;
};

}  // namespace mooncake::bench
