// SPDX-License-Identifier: Apache-2.0
#include "bench/block_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string>

namespace mooncake::bench {
namespace {

using ::testing::HasSubstr;
using Block = std::array<unsigned char, kPatternBlock>;

constexpr BlockTag kTag = {3, 8192, 42, 0x1234, 5};

Block blockOf(const BlockTag& tag) {
    Block block;
    fillBlock(block.data(), tag);
    return block;
}

BlockCheck check(const Block& block, Expect expect = Expect::kExactVersion) {
    return checkBlock(block.data(), kTag, expect);
}

std::string text(const Block& block, Expect expect = Expect::kExactVersion) {
    return describe(check(block, expect), kTag, expect);
}

TEST(BlockPattern, WhatWasWrittenIsGood) {
    EXPECT_EQ(check(blockOf(kTag)).state, BlockState::kGood);
    EXPECT_EQ(check(blockOf(kTag), Expect::kAnyVersion).state, BlockState::kGood);
    EXPECT_EQ(check(blockOf(kTag)).found, kTag);
}

TEST(BlockPattern, BlockOfAnotherFile) {
    BlockTag tag = kTag;
    tag.file = 4;
    EXPECT_EQ(check(blockOf(tag)).state, BlockState::kOtherFile);
    EXPECT_THAT(text(blockOf(tag)), HasSubstr("expected file 3, offset 8192"));
    EXPECT_THAT(text(blockOf(tag)), HasSubstr("another file: file 4, offset 8192"));
}

TEST(BlockPattern, MisplacedBlock) {
    BlockTag tag = kTag;
    tag.offset = 4096;
    EXPECT_EQ(check(blockOf(tag)).state, BlockState::kMisplaced);
    EXPECT_EQ(check(blockOf(tag), Expect::kAnyVersion).state, BlockState::kMisplaced);
    EXPECT_THAT(text(blockOf(tag)), HasSubstr("misplaced block: file 3, offset 4096"));
}

TEST(BlockPattern, BlockOfAnotherSeed) {
    BlockTag tag = kTag;
    tag.seed = 43;
    EXPECT_EQ(check(blockOf(tag)).state, BlockState::kOtherSeed);
    EXPECT_EQ(check(blockOf(tag), Expect::kAnyVersion).state, BlockState::kOtherSeed);
    EXPECT_THAT(text(blockOf(tag)), HasSubstr("seed 43"));
}

TEST(BlockPattern, StaleBlockOfAnEarlierGeneration) {
    BlockTag tag = kTag;
    tag.generation = 4;
    EXPECT_EQ(check(blockOf(tag)).state, BlockState::kStale);
    EXPECT_EQ(check(blockOf(tag), Expect::kAnyVersion).state, BlockState::kGood);
    EXPECT_THAT(text(blockOf(tag)), HasSubstr("generation 5; found a stale block"));
    EXPECT_THAT(text(blockOf(tag)), HasSubstr("run 1234, generation 4"));
}

// The write of this run was lost, and what an earlier run wrote there in the same generation shows.
TEST(BlockPattern, StaleBlockOfAnEarlierRun) {
    BlockTag tag = kTag;
    tag.run = 0x1233;
    EXPECT_EQ(check(blockOf(tag)).state, BlockState::kStale);
    EXPECT_THAT(text(blockOf(tag)),
                HasSubstr("stale block: file 3, offset 8192, seed 42, run 1233"));
}

TEST(BlockPattern, GenerationThatWasNotWrittenYet) {
    BlockTag tag = kTag;
    tag.generation = 6;
    EXPECT_EQ(check(blockOf(tag)).state, BlockState::kTooNew);
}

TEST(BlockPattern, TornBetweenTwoGenerations) {
    BlockTag old = kTag;
    old.generation = 4;
    const Block before = blockOf(old);
    for (size_t cut : {512u, 1024u, 2048u, 3584u}) {
        Block block = blockOf(kTag);
        std::copy(before.begin() + cut, before.end(), block.begin() + cut);
        const BlockCheck found = check(block);
        EXPECT_EQ(found.state, BlockState::kTorn) << cut;
        EXPECT_EQ(found.found.generation, 5u);
        // Two different random bytes may be equal, so the first difference may lie a little later.
        EXPECT_GE(found.firstBadByte, cut);
        EXPECT_LT(found.firstBadByte, cut + 8);
    }
    Block block = blockOf(kTag);
    std::copy(before.begin() + 2048, before.end(), block.begin() + 2048);
    EXPECT_THAT(text(block), HasSubstr("a torn block (wrong from byte 20"));
    EXPECT_THAT(text(block), HasSubstr("that begins as file 3, offset 8192"));
}

// The checksum covers all of the block: no single bit may change unnoticed.
TEST(BlockPattern, EveryFlippedBitIsSeen) {
    const Block good = blockOf(kTag);
    for (size_t byte = 0; byte < kPatternBlock; ++byte) {
        Block block = good;
        block[byte] ^= static_cast<unsigned char>(1u << (byte % 8));
        const BlockState state = check(block).state;
        EXPECT_EQ(state, byte < 8 ? BlockState::kForeign : BlockState::kTorn) << byte;
    }
}

TEST(BlockPattern, ZerosAreNotForeign) {
    Block block{};
    EXPECT_EQ(check(block).state, BlockState::kZero);
    EXPECT_THAT(text(block), HasSubstr("zeros (never written)"));
    block[4095] = 1;
    EXPECT_EQ(check(block).state, BlockState::kForeign);
    EXPECT_THAT(text(block), HasSubstr("foreign"));
}

TEST(BlockPattern, SectorsOfABlockDiffer) {
    const Block block = blockOf(kTag);
    std::set<std::string> sectors;
    for (size_t at = 0; at < kPatternBlock; at += 512) {
        sectors.insert(std::string(block.begin() + at, block.begin() + at + 512));
    }
    EXPECT_EQ(sectors.size(), kPatternBlock / 512);
}

TEST(BlockPattern, PoisonIsNeverTakenForData) {
    const Block good = blockOf(kTag);
    Block block = good;
    poisonBlock(block.data());
    EXPECT_EQ(check(block).state, BlockState::kForeign);
    poisonBlock(block.data());
    EXPECT_EQ(check(block).state, BlockState::kForeign);
    // A read that misses one sector only.
    for (size_t missed = 0; missed < kPatternBlock; missed += 512) {
        Block read = block;
        for (size_t at = 0; at < kPatternBlock; at += 512) {
            if (at != missed) std::memcpy(read.data() + at, good.data() + at, 512);
        }
        EXPECT_NE(check(read).state, BlockState::kGood) << missed;
    }
}

TEST(BlockPattern, AnyAlignment) {
    std::array<unsigned char, kPatternBlock + 8> memory{};
    fillBlock(memory.data() + 3, kTag);
    EXPECT_EQ(checkBlock(memory.data() + 3, kTag, Expect::kExactVersion).state, BlockState::kGood);
    EXPECT_EQ(memory[2], 0);
    EXPECT_EQ(memory[kPatternBlock + 3], 0);
}

}  // namespace
}  // namespace mooncake::bench
