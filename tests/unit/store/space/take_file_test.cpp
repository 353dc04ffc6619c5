// SPDX-License-Identifier: Apache-2.0
#include "take_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include "memory_file.h"

namespace mooncake::store {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kFileBytes = 33 << 20;

class TakeFileTest : public ::testing::Test {
 protected:
    Result<TakenFile> take(bool overwrite = false, const std::string& store = "pool") {
        const auto recognised = [this]() -> Result<std::string> { return content_; };
        return takeFile(file_, "/data/a", recognised,
                        {store, overwrite, false, Uuid::random(), 1790000000000});
    }
    // Refused, with nothing changed; and taken as a new one with `overwrite`.
    void refuses(Failure failure, const std::string& message, const std::string& store = "pool") {
        const auto before = file_.bytes;
        const auto refused = take(false, store);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().failure, failure);
        EXPECT_THAT(refused.error().message, HasSubstr(message));
        EXPECT_THAT(refused.error().message, HasSubstr("/data/a"));
        EXPECT_THAT(refused.error().message, HasSubstr("option to overwrite"));
        EXPECT_TRUE(file_.bytes == before) << "it was changed";
        const auto taken = take(true, store);
        ASSERT_TRUE(taken) << taken.error().message;
        EXPECT_TRUE(taken->is_new);
        EXPECT_EQ(taken->superblock.store, store);
        const auto again = take(false, store);
        ASSERT_TRUE(again);
        EXPECT_FALSE(again->is_new);
        EXPECT_EQ(again->superblock, taken->superblock);
    }

    MemoryFile file_{kFileBytes};
    std::string content_;
};

TEST_F(TakeFileTest, AnEmptyFileBecomesOneOfTheStoreAndStaysIt) {
    const auto taken = take();
    ASSERT_TRUE(taken) << taken.error().message;
    EXPECT_TRUE(taken->is_new);
    EXPECT_EQ(taken->superblock.geometry.regions, 8u);
    EXPECT_GE(file_.flushes, 2);
    const int writes = file_.writes;
    const auto again = take(true);
    ASSERT_TRUE(again);
    EXPECT_FALSE(again->is_new) << "to overwrite is not meant for what is the store's own";
    EXPECT_EQ(again->superblock, taken->superblock);
    EXPECT_EQ(file_.writes, writes);
}

TEST_F(TakeFileTest, AFileThatHoldsSomethingElseIsRefused) {
    content_ = "ext4 file system";
    refuses(Failure::kRefused, "ext4 file system");
}

TEST_F(TakeFileTest, AFileWhoseBeginIsNotZeroIsRefused) {
    file_.bytes[kHeaderBytes - 1] = std::byte{1};
    refuses(Failure::kRefused, "not zero");
}

TEST_F(TakeFileTest, WhatLiesBehindTheHeaderDoesNotMatter) {
    file_.bytes[kHeaderBytes] = std::byte{1};
    EXPECT_TRUE(take());
}

TEST_F(TakeFileTest, AnotherStoresFileIsRefused) {
    ASSERT_TRUE(take());
    refuses(Failure::kConflict, "the store 'pool', and this is 'lake'", "lake");
}

TEST_F(TakeFileTest, AnotherVersionsFileIsRefused) {
    ASSERT_TRUE(take());
    for (const uint64_t copy : {uint64_t{0}, kSuperblockCopyAt}) {
        std::byte* const block = file_.bytes.data() + copy;
        block[24] = std::byte{9};
        const XXH128_hash_t check = XXH3_128bits(block + 16, kBlockBytes - 16);
        std::memcpy(block, &check, sizeof(check));
    }
    refuses(Failure::kUnsupported, "version 9");
}

TEST_F(TakeFileTest, ADamagedFileIsRefused) {
    ASSERT_TRUE(take());
    for (const uint64_t copy : {uint64_t{0}, kSuperblockCopyAt}) {
        file_.bytes[copy + 60] ^= std::byte{0x10};
    }
    refuses(Failure::kDamaged, "damaged");
}

TEST_F(TakeFileTest, ADamagedCopyIsRepaired) {
    const auto taken = take();
    ASSERT_TRUE(taken);
    file_.bytes[60] ^= std::byte{0x10};
    const auto repaired = take();
    ASSERT_TRUE(repaired);
    EXPECT_TRUE(repaired->was_repaired);
    EXPECT_EQ(repaired->superblock, taken->superblock);
    EXPECT_FALSE(readSuperblock(file_)->needs_repair);
    EXPECT_FALSE(take()->was_repaired);
}

TEST_F(TakeFileTest, AFileThatHasBecomeSmallerIsRefusedAndALargerOneStaysAsItWas) {
    const auto taken = take();
    ASSERT_TRUE(taken);
    file_.bytes.resize(kFileBytes + (8 << 20));
    ASSERT_TRUE(take());
    EXPECT_EQ(take()->superblock, taken->superblock);
    file_.bytes.resize(kFileBytes - (8 << 20));
    refuses(Failure::kInvalid, "when it was made");
}

TEST_F(TakeFileTest, AFileThatIsTooSmallIsRefusedInAnyCase) {
    file_.bytes.resize(2 << 20);
    EXPECT_EQ(take(true).error().failure, Failure::kInvalid);
    EXPECT_THAT(take().error().message, HasSubstr("too small"));
}

TEST_F(TakeFileTest, AFileThatCannotBeReadIsNotTaken) {
    file_.read_fails = [](uint64_t offset) { return offset == 0; };
    EXPECT_EQ(take().error().failure, Failure::kUnavailable);
    EXPECT_EQ(file_.writes, 0);
}

}  // namespace
}  // namespace mooncake::store
