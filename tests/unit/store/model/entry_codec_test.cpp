// SPDX-License-Identifier: Apache-2.0
#include "entry_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytes.h"
#include "entries.h"

namespace mooncake::store {
namespace {

const std::string kKey("key\0of any bytes\xff", 17);

ObjectEntry largeEntry() {
    ObjectEntry entry;
    entry.flags = kSoftPin | kHardPin;
    entry.time_ms = ~uint64_t{0};
    for (FileNumber file : {1u, 0xffffffffu}) {
        Replica replica;
        for (RegionIndex i = 0; i < 200; ++i) {
            replica.push_back(makeExtent(file, i * 1000, i + 1, uint64_t{i} << 12, 64 << 20));
        }
        entry.replicas.push_back(replica);
    }
    entry.size = uint64_t{200} * (64 << 20);
    return entry;
}

TEST(EntryCodecTest, ReadsWhatItWrites) {
    for (const ObjectEntry& entry : {makeEntry(), makeEntry(1, 0, 1, 0, 1), largeEntry()}) {
        const auto read = decodeEntry(kKey, encodeEntry(kKey, entry));
        ASSERT_TRUE(read) << read.error().message;
        EXPECT_EQ(*read, entry);
    }
}

// The bytes stay readable for those who have them already.
TEST(EntryCodecTest, TheFormIsFixed) {
    ObjectEntry entry = makeEntry(3, 300, 2, 4096, 5000);
    entry.replicas[0][0].checksum = {0x0807060504030201, 0x100f0e0d0c0b0a09};
    entry.time_ms = 1;
    entry.flags = kHardPin;
    const std::string body =
        std::string("\x01\x88\x27\x02\x01\x01\x01\x03\xac\x02\x02\x80\x20", 13) +
        "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10";
    const std::string encoded = encodeEntry("key", entry);
    EXPECT_EQ(encoded.substr(0, encoded.size() - 4), body);
    std::string check;
    putFixed(&check, entryCheck("key", body));
    EXPECT_EQ(encoded.substr(encoded.size() - 4), check);
    EXPECT_EQ(entryCheck("key", body), 508901311u) << "this number is part of the form, too";
}

TEST(EntryCodecTest, OneExtentTakesAbout50Bytes) {
    EXPECT_LE(encodeEntry(kKey, makeEntry()).size(), 50u);
}

// Whatever a disk does to an entry, nobody is told a wrong place or size.
TEST(EntryCodecTest, EveryFlippedBitIsFound) {
    const std::string good = encodeEntry(kKey, makeEntry());
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
        std::string bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
        const auto read = decodeEntry(kKey, bad);
        ASSERT_FALSE(read) << "bit " << bit;
        EXPECT_EQ(read.error().failure, Failure::kDamaged);
    }
    for (size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(decodeEntry(kKey, good.substr(0, size))) << size;
    }
    EXPECT_FALSE(decodeEntry(kKey, good + '\0'));
}

TEST(EntryCodecTest, AnEntryBelongsToItsKey) {
    const auto read = decodeEntry("another", encodeEntry(kKey, makeEntry()));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().failure, Failure::kDamaged);
    EXPECT_THAT(read.error().message, testing::HasSubstr("'another'"));
}

// Bytes with a right check, made by something else: `change` works on the body.
Failure failureOf(const std::function<void(std::string*)>& change) {
    std::string body = encodeEntry(kKey, makeEntry());
    body.resize(body.size() - 4);
    change(&body);
    const uint32_t check = entryCheck(kKey, body);
    putFixed(&body, check);
    const auto read = decodeEntry(kKey, body);
    return read ? Failure::kInternal : read.error().failure;
}

TEST(EntryCodecTest, OtherVersionsAreNotGuessed) {
    EXPECT_EQ(failureOf([](std::string* body) { (*body)[0] = 2; }), Failure::kUnsupported);
    EXPECT_EQ(failureOf([](std::string* body) { (*body)[0] = 0; }), Failure::kUnsupported);
}

TEST(EntryCodecTest, PartsThatDoNotFitAreRefused) {
    EXPECT_EQ(failureOf([](std::string* body) { *body += '\0'; }), Failure::kDamaged);
    EXPECT_EQ(failureOf([](std::string* body) { body->pop_back(); }), Failure::kDamaged);
    EXPECT_EQ(failureOf([](std::string* body) { body->resize(1); }), Failure::kDamaged);
    // Counts that would take all the memory.
    EXPECT_EQ(failureOf([](std::string* body) {
                  body->resize(1);
                  for (const uint64_t value :
                       {uint64_t{1}, uint64_t{0}, uint64_t{0}, uint64_t{1}, ~uint64_t{0}}) {
                      putVarint(body, value);
                  }
              }),
              Failure::kDamaged);
}

}  // namespace
}  // namespace mooncake::store
