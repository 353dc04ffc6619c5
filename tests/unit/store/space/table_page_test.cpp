// SPDX-License-Identifier: Apache-2.0
#include "table_page.h"

#include <gtest/gtest.h>

#include <random>

namespace mooncake::store {
namespace {

TableRecord makeRecord(const std::string& key, uint64_t number) {
    return {key,           number * 7919,
            number << 33,  1,
            1790000000000, static_cast<uint32_t>(number % 3),
            number << 20,  static_cast<uint32_t>(number),
            1 << 20,       {number, ~number}};
}

class TablePageTest : public ::testing::Test {
 protected:
    PagePlace place(uint32_t blocks = 1) const { return {file_, 5, 9, 1000, blocks}; }
    std::optional<TablePage> read(const PageBuilder& page) const {
        return readPage(page.bytes(), file_, 5, 1000);
    }

    const Uuid file_ = Uuid::random();
    Block memory_[2];
};

TEST_F(TablePageTest, SaysWhatWasPutIntoIt) {
    PageBuilder page(place(), std::span(memory_, 1));
    std::vector<TableRecord> records;
    std::string key(100, 'k');
    while (page.hasRoomFor(key)) {
        key.front() = static_cast<char>(records.size());  // any bytes
        records.push_back(makeRecord(key, records.size()));
        EXPECT_EQ(page.add(records.back()), records.size() - 1);
    }
    EXPECT_GE(records.size(), 22u);
    records[3].checksum = {17, 18};
    page.setChecksum(3, {17, 18});
    page.seal(77);
    const auto found = read(page);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->place, place());
    EXPECT_EQ(found->data_end, 77u);
    EXPECT_EQ(found->records, records);
}

TEST_F(TablePageTest, TheLongestKeyTakesTwoBlocks) {
    const std::string longest(kMaxKeyBytes, '\xff');
    EXPECT_EQ(PageBuilder::blocksFor(longest), 2u);
    PageBuilder page(place(2), memory_);
    ASSERT_TRUE(page.hasRoomFor(longest));
    TableRecord record = makeRecord(longest, UINT32_MAX);
    record.put_id = record.size = record.time_ms = record.object_offset = UINT64_MAX;
    record.replica = record.block = record.length = UINT32_MAX;
    record.flags = UINT8_MAX;
    page.add(record);
    page.seal(1);
    ASSERT_TRUE(read(page));
    EXPECT_EQ(read(page)->records.front(), record);
    EXPECT_FALSE(readPage(page.bytes().first(kBlockBytes), file_, 5, 1000));
    for (size_t size = 1; size <= kMaxKeyBytes; ++size) {
        const std::string key(size, 'k');
        const uint32_t blocks = PageBuilder::blocksFor(key);
        ASSERT_LE(PageBuilder::recordBytes(key), PageBuilder::capacity(blocks)) << size;
    }
}

TEST_F(TablePageTest, OnlyAtItsPlace) {
    PageBuilder page(place(), std::span(memory_, 1));
    page.add(makeRecord("key", 1));
    page.seal(1);
    ASSERT_TRUE(read(page));
    EXPECT_FALSE(readPage(page.bytes(), Uuid::random(), 5, 1000));
    EXPECT_FALSE(readPage(page.bytes(), file_, 6, 1000));
    EXPECT_FALSE(readPage(page.bytes(), file_, 5, 999));
}

TEST_F(TablePageTest, EveryFlippedBitIsSeen) {
    PageBuilder page(place(), std::span(memory_, 1));
    page.add(makeRecord("key", 1));
    page.seal(1);
    for (size_t bit = 0; bit < kBlockBytes * 8; ++bit) {
        std::byte& byte = memory_[0].bytes[bit / 8];
        byte ^= std::byte{static_cast<uint8_t>(1U << (bit % 8))};
        ASSERT_FALSE(read(page)) << "bit " << bit;
        byte ^= std::byte{static_cast<uint8_t>(1U << (bit % 8))};
    }
    EXPECT_TRUE(read(page));
}

// A page that somebody made with a right check, or that this version does not know: no crash.
TEST_F(TablePageTest, NoiseIsNoPage) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 1000; ++i) {
        PageBuilder page(place(2), memory_);
        page.add(makeRecord("key", 1));
        for (int j = 0; j < 20; ++j) {
            memory_[0].bytes[92 + random() % 200] = static_cast<std::byte>(random());
        }
        page.seal(static_cast<uint32_t>(random()));  // with a check that holds
        const auto found = read(page);
        if (found) {
            EXPECT_EQ(found->records.size(), 1u);
        }
    }
}

}  // namespace
}  // namespace mooncake::store
