// SPDX-License-Identifier: Apache-2.0
#include "region_fill.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "region_run.h"

namespace mooncake::store {
namespace {

constexpr uint32_t kRegion = 4 << 20;
constexpr uint32_t kBlocks = kRegion / kBlockBytes;
constexpr uint32_t kPart = kRegion / 32;

TEST(RegionFillTest, DataFromTheBeginAndPagesFromTheEnd) {
    RegionFill fill(kRegion);
    const auto first = fill.take(1, 1);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->block, 0u);
    EXPECT_EQ(first->length, 1u);
    EXPECT_EQ(first->page_block, kBlocks - 1);
    const auto second = fill.take(kBlockBytes + 1, 0);
    EXPECT_EQ(second->block, 1u);
    const auto third = fill.take(100, 2);
    EXPECT_EQ(third->block, 3u);
    EXPECT_EQ(third->page_block, kBlocks - 3);
    EXPECT_EQ(fill.dataEnd(), 4u);
    EXPECT_EQ(fill.room(), uint64_t{kBlocks - 4 - 3 - 1} * kBlockBytes);
    EXPECT_FALSE(fill.take(0, 0));
}

TEST(RegionFillTest, WhatIsLargerThanTheRoomIsCut) {
    RegionFill fill(kRegion);
    const auto all = fill.take(uint64_t{1} << 33, 1);
    ASSERT_TRUE(all);
    EXPECT_EQ(all->length, kRegion - kBlockBytes);
    EXPECT_FALSE(fill.take(1, 0)) << "it is full to the last block";
    EXPECT_EQ(fill.room(), 0u);
}

TEST(RegionFillTest, SmallObjectsAndSmallRoomsAreNotCut) {
    RegionFill fill(kRegion);
    ASSERT_TRUE(fill.take(kRegion - kPart - kBlockBytes, 1));  // leaves one part
    EXPECT_FALSE(fill.take(kPart, 1)) << "a small object stays whole";
    const auto cut = fill.take(kPart + 1, 0);
    ASSERT_TRUE(cut);
    EXPECT_EQ(cut->length, kPart);

    RegionFill small(kRegion);
    ASSERT_TRUE(small.take(kRegion - kPart, 1));  // leaves a block less than that
    EXPECT_FALSE(small.take(kRegion, 0)) << "a part would be too small";
    EXPECT_TRUE(small.take(kPart - kBlockBytes, 0));
}

TEST(RegionFillTest, PagesThatAreNotDownBringItToItsEnd) {
    RegionFill fill(kRegion);
    const auto lost = fill.take(1, 2);
    std::vector<RegionFill::Piece> others;
    for (uint32_t i = 0; i < kMostPageBlocksPending - 2; ++i) {
        const auto piece = fill.take(1, 1);
        ASSERT_TRUE(piece) << i;
        others.push_back(*piece);
    }
    EXPECT_FALSE(fill.take(1, 1));
    for (const auto& piece : others) fill.pageDone(piece.page_block, 1);
    EXPECT_FALSE(fill.take(1, 1)) << "the first one is still missing";
    EXPECT_TRUE(fill.take(1, 0)) << "a page that is there can be used";
    fill.pageDone(lost->page_block, 2);
    for (uint32_t i = 0; i < kMostPageBlocksPending; ++i) ASSERT_TRUE(fill.take(1, 1)) << i;
    EXPECT_FALSE(fill.take(1, 1));
}

// Whatever is taken by however many threads, no block is given twice.
TEST(RegionFillTest, NoBlockIsGivenTwice) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
        RegionFill fill(kRegion);
        std::vector<std::atomic<int>> owners(kBlocks);
        const auto own = [&](uint32_t block, uint64_t count) {
            for (uint64_t i = 0; i < count; ++i) EXPECT_EQ(owners[block + i]++, 0) << block + i;
        };
        const auto work = [&](uint64_t thread_seed) {
            std::mt19937_64 random(thread_seed);
            for (int misses = 0; misses < 50;) {
                const auto blocks = static_cast<uint32_t>(random() % 3);
                const auto piece = fill.take(1 + random() % (1 << (random() % 20)), blocks);
                if (!piece) {
                    ++misses;
                    continue;
                }
                own(piece->block, (piece->length + kBlockBytes - 1) / kBlockBytes);
                own(piece->page_block, blocks);
                if (blocks != 0) fill.pageDone(piece->page_block, blocks);
            }
        };
        std::thread other(work, seed * 2);
        work(seed * 2 + 1);
        other.join();
    }
}

TEST(RegionRunTest, AnObjectLargerThanARegionGoesOnInTheNext) {
    const Uuid file = Uuid::random();
    TableRecord record{"key", 1, uint64_t{3} * kRegion, 0, 0, 0, 0, 0, 0, {}};
    uint64_t parts = 0;
    for (RegionIndex region = 0; record.object_offset < record.size; ++region) {
        RegionRun run(std::make_shared<RegionFill>(kRegion), file, region, 1);
        const auto part = run.add(record);
        ASSERT_TRUE(part);
        EXPECT_EQ(part->block, 0u);
        record.object_offset += part->length;
        ++parts;
        EXPECT_EQ(run.pages(), 1u);
        EXPECT_EQ(run.page(0).offset, kRegion - kBlockBytes);
        if (record.object_offset < record.size) {
            EXPECT_FALSE(run.add(record));
        }
    }
    EXPECT_EQ(record.object_offset, record.size);
    EXPECT_EQ(parts, 4u);
}

TEST(RegionRunTest, APageServesManyObjectsAndALongKeyHasALongOne) {
    const Uuid file = Uuid::random();
    RegionRun run(std::make_shared<RegionFill>(kRegion), file, 0, 1);
    std::vector<RegionRun::Part> parts;
    std::vector<std::string> keys;
    for (int i = 0; i < 30; ++i) {
        keys.push_back(std::to_string(i) + std::string(i == 10 ? 4000 : 90, 'k'));
        const auto part = run.add({keys.back(), 1, 4096, 0, 0, 0, 0, 0, 0, {}});
        ASSERT_TRUE(part);
        parts.push_back(*part);
    }
    EXPECT_EQ(run.pages(), 2u) << "the second one is longer, and takes those that follow, too";
    for (size_t i = 0; i < parts.size(); ++i) run.setChecksum(parts[i], {i, i});
    run.seal();
    size_t seen = 0;
    for (size_t page = 0; page < run.pages(); ++page) {
        const auto place = run.page(page);
        const auto found =
            readPage(place.bytes, file, 0, static_cast<uint32_t>(place.offset / kBlockBytes));
        ASSERT_TRUE(found);
        for (const TableRecord& record : found->records) {
            EXPECT_EQ(record.key, keys[seen]);
            EXPECT_EQ(record.checksum.low, seen);
            EXPECT_EQ(record.block, seen);
            ++seen;
        }
    }
    EXPECT_EQ(seen, keys.size());
}

}  // namespace
}  // namespace mooncake::store
