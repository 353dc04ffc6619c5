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

SequenceRules sequential(uint64_t run) {
    SequenceRules rules;
    rules.blockSize = kBlock;
    rules.run = run;
    return rules;
}

SequenceRules tracked(uint64_t run, bool random = false, unsigned readPercent = 0) {
    SequenceRules rules = sequential(run);
    rules.random = random;
    rules.readPercent = readPercent;
    rules.tracked = true;
    return rules;
}

TEST(BlockSequence, NeighboursInOneFileAndAllFilesInEveryBatch) {
    BlockSequence sequence({{1, 10, 100}, {2, 0, 100}}, sequential(4));
    std::vector<BlockRef> blocks;
    sequence.take(8, blocks);
    ASSERT_EQ(blocks.size(), 8u);
    for (uint64_t i = 0; i < 4; ++i) {
        EXPECT_EQ(blocks[i].file, 1u);
        EXPECT_EQ(blocks[i].offset, (10 + i) * kBlock);
        EXPECT_EQ(blocks[4 + i].file, 2u);
        EXPECT_EQ(blocks[4 + i].offset, i * kBlock);
        EXPECT_EQ(blocks[i].range, 0u);
        EXPECT_EQ(blocks[4 + i].range, 1u);
        EXPECT_FALSE(blocks[i].write);
    }
    sequence.take(8, blocks);
    EXPECT_EQ(blocks[0].offset, 14 * kBlock);
}

TEST(BlockSequence, MoreFilesThanABatchHoldsTakeTurns) {
    BlockSequence sequence({{1, 0, 9}, {2, 0, 9}, {3, 0, 9}}, sequential(1));
    std::vector<BlockRef> blocks;
    std::set<uint32_t> seen;
    for (int i = 0; i < 2; ++i) {
        sequence.take(2, blocks);
        for (const BlockRef& block : blocks) seen.insert(block.file);
    }
    EXPECT_EQ(seen.size(), 3u);
}

TEST(BlockSequence, WrapsWithinItsRangeAndCountsGenerations) {
    BlockSequence sequence({{1, 5, 3}}, tracked(2));
    std::vector<BlockRef> blocks;
    std::vector<std::pair<uint64_t, uint64_t>> seen;
    for (int i = 0; i < 4; ++i) {
        sequence.take(2, blocks);
        for (const BlockRef& block : blocks) {
            EXPECT_TRUE(block.write);
            seen.emplace_back(block.offset / kBlock, block.generation);
        }
        sequence.giveBack(blocks);
    }
    const std::vector<std::pair<uint64_t, uint64_t>> expected = {{5, 1}, {6, 1}, {7, 1}, {5, 2},
                                                                 {6, 2}, {7, 2}, {5, 3}, {6, 3}};
    EXPECT_EQ(seen, expected);
}

TEST(BlockSequence, RandomReachesEveryBlockOfEveryFile) {
    SequenceRules rules = sequential(1);
    rules.random = true;
    BlockSequence sequence({{1, 3, 5}, {2, 0, 20}}, rules);
    std::map<Place, int> seen;
    std::vector<BlockRef> blocks;
    for (int i = 0; i < 200; ++i) {
        sequence.take(10, blocks);
        ASSERT_EQ(blocks.size(), 10u);
        for (const BlockRef& block : blocks) ++seen[{block.file, block.offset}];
    }
    EXPECT_EQ(seen.size(), 25u);
    EXPECT_EQ(seen.begin()->first, (Place{1, 3 * kBlock}));
    EXPECT_EQ(seen.rbegin()->first, (Place{2, 19 * kBlock}));
    for (const auto& [place, count] : seen) {
        EXPECT_GT(count, 30);  // 80 expected
        EXPECT_LT(count, 160);
    }
}

TEST(BlockSequence, MixesReadsAndWritesAsAsked) {
    SequenceRules rules = sequential(1);
    rules.readPercent = 70;
    BlockSequence sequence({{1, 0, 1000}}, rules);
    std::vector<BlockRef> blocks;
    sequence.take(10000, blocks);
    int reads = 0;
    for (const BlockRef& block : blocks) reads += block.write ? 0 : 1;
    EXPECT_GT(reads, 6700);
    EXPECT_LT(reads, 7300);
}

// Until they are given back, blocks that have been taken do not come again: not in one batch, and
// not in another one.
TEST(BlockSequence, TrackedBlocksAreUnderWayOnce) {
    for (const bool random : {false, true}) {
        BlockSequence sequence({{1, 0, 2}, {2, 0, 11}}, tracked(100, random));
        std::vector<BlockRef> blocks;
        for (int batch = 0; batch < 20; ++batch) {
            std::set<Place> places;
            std::vector<std::vector<BlockRef>> underWay;
            for (const size_t size : {5u, 8u}) {
                sequence.take(size, blocks);
                EXPECT_EQ(blocks.size(), size) << "the small file must not shorten the batch";
                for (const BlockRef& block : blocks) {
                    EXPECT_TRUE(places.insert({block.file, block.offset}).second);
                }
                underWay.push_back(blocks);
            }
            sequence.take(1, blocks);
            EXPECT_TRUE(blocks.empty()) << "all are under way";
            for (const auto& each : underWay) sequence.giveBack(each);
        }
    }
}

// What visited() says must be what take() gave to be written, whenever one asks.
TEST(BlockSequence, VisitedIsExactlyWhatWasWrittenLast) {
    for (const bool random : {false, true}) {
        for (const unsigned readPercent : {0u, 50u}) {
            BlockSequence sequence({{1, 4, 5}, {2, 0, 17}, {9, 2, 1}},
                                   tracked(7, random, readPercent));
            std::map<Place, uint64_t> latest;
            std::vector<BlockRef> blocks;
            for (int batch = 0; batch < 80; ++batch) {
                std::map<Place, uint64_t> listed;
                uint64_t cursor = 0;
                for (;;) {
                    sequence.visited(cursor, 4, blocks);
                    if (blocks.empty()) break;
                    ASSERT_LE(blocks.size(), 4u);
                    for (const BlockRef& block : blocks) {
                        EXPECT_FALSE(block.write);
                        EXPECT_TRUE(
                            listed.emplace(Place{block.file, block.offset}, block.generation)
                                .second);
                    }
                }
                EXPECT_EQ(listed, latest) << "after " << batch << " batches";
                sequence.take(7, blocks);
                for (const BlockRef& block : blocks) {
                    const Place place{block.file, block.offset};
                    if (block.write) ++latest[place];
                    const auto known = latest.find(place);
                    EXPECT_EQ(block.generation, known == latest.end() ? 0 : known->second);
                }
                sequence.giveBack(blocks);
            }
            EXPECT_EQ(latest.size(), sequence.blockCount());
        }
    }
}

}  // namespace
}  // namespace mooncake::bench
