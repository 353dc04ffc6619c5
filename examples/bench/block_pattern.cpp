// SPDX-License-Identifier: Apache-2.0
#include "bench/block_pattern.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <sstream>

namespace mooncake::bench {
namespace {

constexpr uint64_t kMagic = 0x4b4c42464f4d564eULL;
constexpr uint64_t kPoison = 0xdeadbeefdeadbeefULL;
constexpr size_t kSector = 512;

struct Header {
    uint64_t magic;
    uint32_t checksum;  // CRC-32 of the block without this field
    uint32_t file;
    uint64_t offset;
    uint64_t seed;
    uint64_t run;
    uint64_t generation;
};
static_assert(sizeof(Header) == 48, "the layout has no holes");
constexpr size_t kChecksumEnd = offsetof(Header, checksum) + sizeof(Header::checksum);
constexpr size_t kBodyWords = (kPatternBlock - sizeof(Header)) / sizeof(uint64_t);

uint32_t checksumOf(const unsigned char* block) {
    uLong crc = crc32(0, block, offsetof(Header, checksum));
    crc = crc32(crc, block + kChecksumEnd, kPatternBlock - kChecksumEnd);
    return static_cast<uint32_t>(crc);
}

// SplitMix64: the body must not repeat between sectors, blocks or versions, nor compress well.
uint64_t nextWord(uint64_t& state) {
    state += 0x9e3779b97f4a7c15ULL;
    uint64_t word = state;
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9ULL;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebULL;
    return word ^ (word >> 31);
}

uint64_t bodyStart(const BlockTag& tag) {
    uint64_t state = 0;
    for (uint64_t part : {uint64_t{tag.file}, tag.offset, tag.seed, tag.run, tag.generation}) {
        state ^= part;
        state = nextWord(state);
    }
    return state;
}

void fillUnchecked(unsigned char* block, const BlockTag& tag) {
    const Header header = {kMagic, 0, tag.file, tag.offset, tag.seed, tag.run, tag.generation};
    std::memcpy(block, &header, sizeof(header));
    uint64_t state = bodyStart(tag);
    for (size_t i = 0; i < kBodyWords; ++i) {
        const uint64_t word = nextWord(state);
        std::memcpy(block + sizeof(Header) + i * sizeof(word), &word, sizeof(word));
    }
}

size_t firstDifference(const unsigned char* block, const BlockTag& tag) {
    unsigned char promised[kPatternBlock];
    fillBlock(promised, tag);
    return static_cast<size_t>(std::mismatch(block, block + kPatternBlock, promised).first - block);
}

BlockState compare(const BlockTag& found, const BlockTag& expected, Expect expect) {
    if (found.file != expected.file) return BlockState::kOtherFile;
    if (found.offset != expected.offset) return BlockState::kMisplaced;
    if (found.seed != expected.seed) return BlockState::kOtherSeed;
    if (expect == Expect::kAnyVersion) return BlockState::kGood;
    if (found.run != expected.run || found.generation < expected.generation) {
        return BlockState::kStale;
    }
    return found.generation > expected.generation ? BlockState::kTooNew : BlockState::kGood;
}

void print(std::ostream& out, const BlockTag& tag, bool version) {
    out << "file " << tag.file << ", offset " << tag.offset << ", seed " << tag.seed;
    if (version) {
        out << ", run " << std::hex << tag.run << std::dec << ", generation " << tag.generation;
    }
}

}  // namespace

void fillBlock(void* block, const BlockTag& tag) {
    auto* bytes = static_cast<unsigned char*>(block);
    fillUnchecked(bytes, tag);
    const uint32_t checksum = checksumOf(bytes);
    std::memcpy(bytes + offsetof(Header, checksum), &checksum, sizeof(checksum));
}

void poisonBlock(void* block) {
    auto* bytes = static_cast<unsigned char*>(block);
    for (size_t sector = 0; sector < kPatternBlock; sector += kSector) {
        std::memcpy(bytes + sector, &kPoison, sizeof(kPoison));
    }
}

BlockCheck checkBlock(const void* block, const BlockTag& expected, Expect expect) {
    const auto* bytes = static_cast<const unsigned char*>(block);
    Header header;
    std::memcpy(&header, bytes, sizeof(header));
    BlockCheck check = {BlockState::kGood, {}, 0};
    if (header.magic != kMagic) {
        const bool zeros =
            std::all_of(bytes, bytes + kPatternBlock, [](unsigned char byte) { return byte == 0; });
        check.state = zeros ? BlockState::kZero : BlockState::kForeign;
        return check;
    }
    check.found = {header.file, header.offset, header.seed, header.run, header.generation};
    if (header.checksum != checksumOf(bytes)) {
        check.state = BlockState::kTorn;
        check.firstBadByte = firstDifference(bytes, check.found);
    } else {
        check.state = compare(check.found, expected, expect);
    }
    return check;
}

std::string describe(const BlockCheck& check, const BlockTag& expected, Expect expect) {
    const bool version = expect == Expect::kExactVersion;
    std::ostringstream text;
    text << "expected ";
    print(text, expected, version);
    text << "; found ";
    switch (check.state) {
        case BlockState::kGood:
            text << "it";
            return text.str();
        case BlockState::kZero:
            text << "zeros (never written)";
            return text.str();
        case BlockState::kForeign:
            text << "data without the bench's pattern (foreign)";
            return text.str();
        case BlockState::kTorn:
            text << "a torn block (wrong from byte " << check.firstBadByte
                 << " on) that begins as ";
            break;
        case BlockState::kOtherFile:
            text << "a block of another file: ";
            break;
        case BlockState::kMisplaced:
            text << "a misplaced block: ";
            break;
        case BlockState::kOtherSeed:
            text << "a block of another --verify_seed: ";
            break;
        case BlockState::kStale:
            text << "a stale block: ";
            break;
        case BlockState::kTooNew:
            text << "a block of a later generation: ";
            break;
    }
    print(text, check.found, true);
    return text.str();
}

}  // namespace mooncake::bench
