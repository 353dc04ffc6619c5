// SPDX-License-Identifier: Apache-2.0
#include "pieces.h"

#include <gtest/gtest.h>

#include "slices.h"

namespace mooncake::store {
namespace {

std::vector<Piece> cut(const std::vector<Slice>& slices, uint64_t length) {
    std::vector<Piece> pieces;
    SliceCursor memory{slices};
    cutExtent(7, length, &memory, &pieces);
    return pieces;
}

// Memory that nobody touches.
Slice at(uintptr_t address, size_t size) {
    return {reinterpret_cast<void*>(address), size};
}

TEST(PiecesTest, EveryByteIsInOnePieceAtItsPlace) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 400; ++round) {
        const auto shape = static_cast<RandomSlices::Shape>(random() % 2);
        const size_t bytes = 1 + random() % (1 << (random() % 24));
        const RandomSlices memory(random, bytes, shape);
        std::vector<Piece> pieces;
        SliceCursor cursor{memory.slices};
        SliceCursor expected{memory.slices};
        expected.normalise();
        uint64_t left = bytes;
        for (uint32_t extent = 0; left > 0; ++extent) {
            const uint64_t length = random() % 2 == 0 ? left : 1 + random() % left;
            const size_t first = pieces.size();
            cutExtent(extent, length, &cursor, &pieces);
            uint64_t offset = 0;
            for (size_t i = first; i < pieces.size(); ++i) {
                const Piece& piece = pieces[i];
                ASSERT_EQ(piece.extent, extent);
                ASSERT_EQ(piece.offset, offset);
                ASSERT_EQ(piece.offset % kPieceUnit, 0u);
                ASSERT_GT(piece.length, 0u);
                ASSERT_EQ(piece.memory.slice, expected.slice);
                ASSERT_EQ(piece.memory.offset, expected.offset);
                if (piece.staged) {
                    ASSERT_LE(piece.length, kStagedPiece);
                } else {
                    ASSERT_LE(piece.length, kDirectPiece);
                    ASSERT_EQ(piece.length % kPieceUnit, 0u);
                    ASSERT_LE(piece.length, piece.memory.run());
                    ASSERT_EQ(reinterpret_cast<uintptr_t>(piece.memory.address()) % 4, 0u);
                }
                offset += piece.length;
                expected.skip(piece.length);
            }
            ASSERT_EQ(offset, length);
            left -= length;
        }
    }
}

TEST(PiecesTest, WholeBlocksGoStraight) {
    for (const size_t size : {size_t{4096}, size_t{65536}, size_t{1} << 20}) {
        const auto pieces = cut({at(1 << 20, size)}, size);
        ASSERT_EQ(pieces.size(), 1u) << size;
        EXPECT_FALSE(pieces[0].staged);
    }
    // As NumPy has its memory.
    const auto pieces = cut({at((1 << 20) + 16, 5 << 20)}, 5 << 20);
    ASSERT_EQ(pieces.size(), 5u);
    for (const Piece& piece : pieces) EXPECT_FALSE(piece.staged);
}

TEST(PiecesTest, TheRaggedEndIsStaged) {
    const auto pieces = cut({at(1 << 20, 3 << 20)}, (1 << 20) + 100);
    ASSERT_EQ(pieces.size(), 2u);
    EXPECT_FALSE(pieces[0].staged);
    EXPECT_TRUE(pieces[1].staged);
    EXPECT_EQ(pieces[1].length, 100u);
    EXPECT_EQ(pieces[1].requestLength(), 4096u);
    const auto small = cut({at(1 << 20, 5000)}, 5000);
    ASSERT_EQ(small.size(), 1u) << "one request";
    EXPECT_TRUE(small[0].staged);
}

TEST(PiecesTest, ManySmallSlicesBecomeFewPieces) {
    std::vector<Slice> slices;
    for (uintptr_t i = 0; i < 40; ++i) slices.push_back(at((i + 1) << 20, 10000));
    const auto small = cut(slices, 400000);
    ASSERT_EQ(small.size(), 2u);
    EXPECT_TRUE(small[0].staged && small[1].staged);
    // Blocks of layers that are whole need no copy; the transport joins neighbours.
    for (Slice& slice : slices) slice.size = 64 << 10;
    for (const Piece& piece : cut(slices, 40 * (64 << 10))) EXPECT_FALSE(piece.staged);
    // What lies between is gathered up to where the next direct one begins.
    const auto mixed =
        cut({at(1 << 20, 1000), at(2 << 20, 3096), at(3 << 20, 1 << 20)}, (1 << 20) + 4096);
    ASSERT_EQ(mixed.size(), 2u);
    EXPECT_TRUE(mixed[0].staged);
    EXPECT_EQ(mixed[0].length, 4096u);
    EXPECT_FALSE(mixed[1].staged);
}

}  // namespace
}  // namespace mooncake::store
