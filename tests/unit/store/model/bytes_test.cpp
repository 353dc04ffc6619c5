// SPDX-License-Identifier: Apache-2.0
#include "bytes.h"

#include <gtest/gtest.h>

#include <limits>

namespace mooncake::store {
namespace {

TEST(BytesTest, VarintsOfEveryLength) {
    for (unsigned bits = 0; bits <= 64; ++bits) {
        const uint64_t top = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
        for (const uint64_t value : {top, top / 2 + 1}) {
            std::string out;
            putVarint(&out, value);
            EXPECT_LE(out.size(), bits == 0 ? 1 : (bits + 6) / 7);
            ByteReader reader(out);
            uint64_t read = 0;
            ASSERT_TRUE(reader.varint(&read));
            EXPECT_EQ(read, value);
            EXPECT_EQ(reader.left(), 0u);
            for (size_t cut = 0; cut < out.size(); ++cut) {
                uint64_t none = 0;
                EXPECT_FALSE(ByteReader(std::string_view(out).substr(0, cut)).varint(&none));
            }
        }
    }
}

TEST(BytesTest, AVarintHasOneForm) {
    uint64_t value = 0;
    EXPECT_FALSE(ByteReader(std::string_view("\x80\x00", 2)).varint(&value)) << "overlong";
    EXPECT_FALSE(ByteReader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").varint(&value))
        << "more than 64 bits";
    EXPECT_FALSE(ByteReader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81").varint(&value));
    EXPECT_TRUE(ByteReader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").varint(&value));
    EXPECT_EQ(value, std::numeric_limits<uint64_t>::max());
    uint8_t narrow = 0;
    EXPECT_TRUE(ByteReader("\xff\x01").varintTo(&narrow));
    EXPECT_EQ(narrow, 255);
    EXPECT_FALSE(ByteReader("\x80\x02").varintTo(&narrow)) << "256";
}

TEST(BytesTest, FixedNumbersHaveTheLowestByteFirst) {
    std::string out;
    putFixed(&out, uint32_t{0x80c0a001});
    EXPECT_EQ(out, std::string("\x01\xa0\xc0\x80", 4));
    uint32_t value = 0;
    ASSERT_TRUE(ByteReader(out).fixed(&value));
    EXPECT_EQ(value, 0x80c0a001u);
    uint64_t wide = 0;
    EXPECT_FALSE(ByteReader(out).fixed(&wide));
}

TEST(BytesTest, TextsHaveAnyBytes) {
    std::string out;
    putText(&out, std::string("a\0b", 3));
    std::string text;
    ByteReader reader(out);
    ASSERT_TRUE(reader.text(&text));
    EXPECT_EQ(text, std::string("a\0b", 3));
    out.pop_back();
    EXPECT_FALSE(ByteReader(out).text(&text));
}

}  // namespace
}  // namespace mooncake::store
