// SPDX-License-Identifier: Apache-2.0
#include "bench/block_sequence.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>
#include <vector>

namespace mooncake::bench {
namespace {

constexpr uint64_t kBlock = 4096;
using Place = std::pair<uint32_t, uint64_t>;  // file, offset

TEST(DivideFiles, EveryBlockFallsToExactlyOneThread) {
    for (uint64_t threads : {1u, 2u, 3u, 7u, 16u}) {
        const std::vector<FileSpan> files = {
            {1, 16 * kBlock}, {2, 33 * kBlock + 5}, {7, 100 * kBlock}};
        std::map<uint32_t, std::vector<int>> owners = {
            {1, std::vector<int>(16)}, {2, std::vector<int>(33)}, {7, std::vector<int>(100)}};
        std::map<uint32_t, std::set<uint64_t>> shares;
        for (uint64_t thread = 0; thread < threads; ++thread) {
            const auto ranges = divideFiles(files, kBlock, threads, thread);
            ASSERT_EQ(ranges.size(), files.size());
            for (const BlockRange& range : ranges) {
                shares[range.file].insert(range.blockCount);
                for (uint64_t i = 0; i < range.blockCount; ++i) {
                    ++owners[range.file].at(range.firstBlock + i);
                }
            }
        }
        for (const auto& [file, counts] : owners) {
            for (int count : counts) EXPECT_EQ(count, 1) << "file " << file << ", " << threads;
            EXPECT_LE(*shares[file].rbegin() - *shares[file].begin(), 1u);
        }
    }
}

TEST(DivideFiles, ThreadWithoutBlocksGetsNoRange) {
    EXPECT_EQ(divideFiles({{1, 2 * kBlock}}, kBlock, 3, 0).size(), 1u);
    EXPECT_EQ(divideFiles({{1, 2 * kBlock}}, kBlock, 3, 1).size(), 1u);
    EXPECT_TRUE(divideFiles({{1, 2 * kBlock}}, kBlock, 3, 2).empty());
}

// Numbers of blocks and threads whose product does not fit into 64 bits.
TEST(DivideFiles, HugeFileDoesNotOverflow) {
    const uint64_t size = (1ULL << 63) + 511;
    uint64_t next = 0;
    for (uint64_t thread = 0; thread < 1000; ++thread) {
        const auto ranges = divideFiles({{1, size}}, 1, 1000, thread);
        ASSERT_EQ(ranges.size(), 1u);
        EXPECT_EQ(ranges[0].firstBlock, next);
        next += ranges[0].blockCount;
    }
    EXPECT_EQ(next, size);
}

TEST(BlockSequence, NeighboursInOneFileAndAllFilesInEveryBatch) {
    BlockSequence sequence({{1, 10, 100}, {2, 0, 100}}, kBlock, 8);
    std::vector<BlockRef> blocks;
    sequence.take(8, false, blocks);
    ASSERT_EQ(blocks.size(), 8u);
    for (uint64_t i = 0; i < 4; ++i) {
        EXPECT_EQ(blocks[i].file, 1u);
        EXPECT_EQ(blocks[i].offset, (10 + i) * kBlock);
        EXPECT_EQ(blocks[4 + i].file, 2u);
        EXPECT_EQ(blocks[4 + i].offset, i * kBlock);
    }
    sequence.take(8, false, blocks);
    EXPECT_EQ(blocks[0].offset, 14 * kBlock);
}

TEST(BlockSequence, MoreFilesThanABatchHoldsTakeTurns) {
    BlockSequence sequence({{1, 0, 9}, {2, 0, 9}, {3, 0, 9}}, kBlock, 2);
    std::vector<BlockRef> blocks;
    std::set<uint32_t> seen;
    for (int i = 0; i < 2; ++i) {
        sequence.take(2, false, blocks);
        for (const BlockRef& block : blocks) seen.insert(block.file);
    }
    EXPECT_EQ(seen.size(), 3u);
}

TEST(BlockSequence, WrapsWithinItsRangeAndCountsGenerations) {
    BlockSequence sequence({{1, 5, 3}}, kBlock, 2);
    std::vector<BlockRef> blocks;
    std::vector<std::pair<uint64_t, uint64_t>> seen;
    for (int i = 0; i < 4; ++i) {
        sequence.take(2, false, blocks);
        for (const BlockRef& block : blocks)
            seen.emplace_back(block.offset / kBlock, block.generation);
    }
    const std::vector<std::pair<uint64_t, uint64_t>> expected = {{5, 1}, {6, 1}, {7, 1}, {5, 2},
                                                                 {6, 2}, {7, 2}, {5, 3}, {6, 3}};
    EXPECT_EQ(seen, expected);
}

TEST(BlockSequence, DistinctBatchHoldsNoBlockTwice) {
    BlockSequence sequence({{1, 0, 2}, {2, 0, 11}}, kBlock, 100);
    std::vector<BlockRef> blocks;
    for (int batch = 0; batch < 20; ++batch) {
        sequence.take(100, true, blocks);
        EXPECT_EQ(blocks.size(), 13u) << "the small file must not shorten the batch";
        std::set<Place> places;
        for (const BlockRef& block : blocks) {
            EXPECT_TRUE(places.insert({block.file, block.offset}).second);
        }
    }
    sequence.take(100, false, blocks);
    EXPECT_EQ(blocks.size(), 100u);
}

// What visited() says must be what take() gave, whenever one asks.
TEST(BlockSequence, VisitedIsExactlyWhatWasTakenLast) {
    for (bool distinct : {false, true}) {
        BlockSequence sequence({{1, 4, 5}, {2, 0, 17}, {9, 2, 1}}, kBlock, 7);
        std::map<Place, uint64_t> latest;
        std::vector<BlockRef> blocks;
        for (int batch = 0; batch < 60; ++batch) {
            std::map<Place, uint64_t> listed;
            uint64_t cursor = 0;
            for (;;) {
                sequence.visited(cursor, 4, blocks);
                if (blocks.empty()) break;
                ASSERT_LE(blocks.size(), 4u);
                for (const BlockRef& block : blocks) {
                    EXPECT_TRUE(
                        listed.emplace(Place{block.file, block.offset}, block.generation).second);
                }
            }
            EXPECT_EQ(listed, latest) << "after " << batch << " batches";
            sequence.take(7, distinct, blocks);
            for (const BlockRef& block : blocks) {
                EXPECT_EQ(block.generation, (latest[{block.file, block.offset}] += 1));
            }
        }
        EXPECT_EQ(latest.size(), sequence.blockCount());
    }
}

}  // namespace
}  // namespace mooncake::bench
