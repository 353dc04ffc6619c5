// SPDX-License-Identifier: Apache-2.0
#include "superblock.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include "memory_file.h"

namespace mooncake::store {
namespace {

constexpr uint64_t kFileBytes = 33 << 20;

Superblock makeSuperblock(const std::string& store = "pool") {
    return {store, Uuid::random(), kFileBytes, *Geometry::of(kFileBytes), 1790000000000, false};
}

SuperblockBytes encoded(const Superblock& superblock) {
    const auto bytes = encodeSuperblock(superblock);
    EXPECT_TRUE(bytes);
    return *bytes;
}

// What another version, whose check is right, would look like.
SuperblockBytes ofVersion(uint32_t version) {
    SuperblockBytes bytes = encoded(makeSuperblock());
    std::memcpy(bytes.data() + 24, &version, sizeof(version));
    const XXH128_hash_t hash = XXH3_128bits(bytes.data() + 16, bytes.size() - 16);
    std::memcpy(bytes.data(), &hash, sizeof(hash));
    return bytes;
}

TEST(SuperblockTest, SaysWhatWasWritten) {
    Superblock superblock = makeSuperblock(std::string(kMaxStoreName, 'x'));
    superblock.scratch = true;
    const SuperblockReading reading = decodeSuperblock(encoded(superblock));
    EXPECT_EQ(reading.state, SuperblockState::kGood);
    EXPECT_EQ(reading.superblock, superblock);
}

TEST(SuperblockTest, AStoreHasAName) {
    EXPECT_EQ(encodeSuperblock(makeSuperblock("")).error().failure, Failure::kInvalid);
    EXPECT_EQ(encodeSuperblock(makeSuperblock(std::string(256, 'x'))).error().failure,
              Failure::kInvalid);
}

TEST(SuperblockTest, EveryFlippedBitIsSeen) {
    const SuperblockBytes good = encoded(makeSuperblock());
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        SuperblockBytes bytes = good;
        bytes[bit / 8] ^= std::byte{static_cast<uint8_t>(1U << (bit % 8))};
        ASSERT_NE(decodeSuperblock(bytes).state, SuperblockState::kGood) << "bit " << bit;
    }
}

TEST(SuperblockTest, AnotherVersionIsToldByItsNumber) {
    const SuperblockReading reading = decodeSuperblock(ofVersion(7));
    EXPECT_EQ(reading.state, SuperblockState::kOtherVersion);
    EXPECT_EQ(reading.version, 7u);
}

TEST(SuperblockTest, AGeometryThatDoesNotFollowFromTheSizeIsDamage) {
    Superblock superblock = makeSuperblock();
    superblock.geometry.regions += 1;
    EXPECT_EQ(decodeSuperblock(encoded(superblock)).state, SuperblockState::kDamaged);
}

TEST(SuperblockTest, EitherCopyIsEnough) {
    const Superblock superblock = makeSuperblock();
    for (const uint64_t lost : {uint64_t{0}, kSuperblockCopyAt}) {
        MemoryFile file(kFileBytes);
        ASSERT_TRUE(writeSuperblock(file, superblock));
        EXPECT_FALSE(readSuperblock(file)->needs_repair);
        file.bytes[lost + 100] ^= std::byte{1};
        const auto damaged = readSuperblock(file);
        ASSERT_TRUE(damaged);
        EXPECT_EQ(damaged->state, SuperblockState::kGood);
        EXPECT_EQ(damaged->superblock, superblock);
        EXPECT_TRUE(damaged->needs_repair);
        // As a partitioning tool does it.
        std::fill_n(file.bytes.begin() + static_cast<ptrdiff_t>(lost), kBlockBytes, std::byte{0});
        EXPECT_EQ(readSuperblock(file)->superblock, superblock);
        file.read_fails = [&](uint64_t offset) { return offset == lost; };
        EXPECT_EQ(readSuperblock(file)->superblock, superblock);
        file.read_fails = [&](uint64_t offset) { return offset != lost; };
        EXPECT_EQ(readSuperblock(file).error().failure, Failure::kUnavailable)
            << "what could not be read may be a superblock";
    }
}

TEST(SuperblockTest, WithoutAGoodCopyItSaysWhatIsWrong) {
    MemoryFile file(kFileBytes);
    EXPECT_EQ(readSuperblock(file)->state, SuperblockState::kAbsent);
    ASSERT_TRUE(writeSuperblock(file, makeSuperblock()));
    file.bytes[100] ^= std::byte{1};
    file.bytes[kSuperblockCopyAt + 100] ^= std::byte{1};
    EXPECT_EQ(readSuperblock(file)->state, SuperblockState::kDamaged);
    const SuperblockBytes other = ofVersion(2);
    std::copy(other.begin(), other.end(), file.bytes.begin() + kSuperblockCopyAt);
    EXPECT_EQ(readSuperblock(file)->state, SuperblockState::kOtherVersion);
    MemoryFile tiny(kBlockBytes);
    EXPECT_EQ(readSuperblock(tiny)->state, SuperblockState::kAbsent);
}

// Killed at each write, whole or torn, a file has one of the two superblocks or, where it was
// empty, none.
TEST(SuperblockTest, AWriterMayBeKilledAtAnyPoint) {
    const Superblock before = makeSuperblock("before");
    const Superblock after = makeSuperblock("after");
    for (const bool had_one : {false, true}) {
        MemoryFile start(kFileBytes);
        if (had_one) {
            ASSERT_TRUE(writeSuperblock(start, before));
        }
        for (int writes = 0; writes <= 2; ++writes) {
            for (size_t torn = 0; torn < kBlockBytes; torn += 512) {
                MemoryFile file = start;
                int count = 0;
                file.write_fails = [&](uint64_t offset) {
                    if (count++ < writes) return false;
                    const SuperblockBytes bytes = encoded(after);
                    std::copy_n(bytes.begin(), torn,
                                file.bytes.begin() + static_cast<ptrdiff_t>(offset));
                    return true;
                };
                EXPECT_EQ(writeSuperblock(file, after).has_value(), writes == 2);
                const auto reading = readSuperblock(file);
                ASSERT_TRUE(reading);
                if (writes == 2) {
                    EXPECT_EQ(reading->superblock, after);
                } else if (had_one && (writes == 0 || torn == 0)) {
                    EXPECT_EQ(reading->superblock, before);
                } else if (writes == 1) {
                    EXPECT_EQ(reading->state, SuperblockState::kGood);
                    EXPECT_EQ(reading->superblock, after);
                } else {
                    // All that counts may stand in the sectors that came down.
                    const bool good = reading->state == SuperblockState::kGood;
                    EXPECT_EQ(good, torn != 0);
                    if (good) {
                        EXPECT_EQ(reading->superblock, after);
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace mooncake::store
