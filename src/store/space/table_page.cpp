// SPDX-License-Identifier: Apache-2.0
//
// A page, fixed numbers with the lowest byte first:
//   16 bytes  XXH3-128 of the rest of the page
//    8        magic
//   16        the file's uuid
//    4 8 4 4  region, generation, block, blocks
//    4 4      data end, number of records
// and the records, which are varints but for the key, the put id and the checksum.
#include "table_page.h"

#include <xxhash.h>

#include <cstring>

#include "bytes.h"

namespace mooncake::store {
namespace {

constexpr uint64_t kMagic = 0x4547415054534d4d;  // "MMSTPAGE"
constexpr size_t kCheckBytes = 16;
constexpr size_t kHeaderSize = kCheckBytes + 8 + 16 + 4 + 8 + 4 + 4 + 4 + 4;
constexpr size_t kChecksumBytes = 16;
// Length of the key, put id, size, flags, time, replica, offset, block, length, checksum.
constexpr size_t kMostRecordBytes = 2 + 8 + 10 + 2 + 10 + 5 + 10 + 5 + 5 + kChecksumBytes;

template <class Unsigned>
void store(std::byte* at, Unsigned value) {
    for (size_t i = 0; i < sizeof(Unsigned); ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
}

void storeChecksum(std::byte* at, const Checksum128& checksum) {
    store(at, checksum.low);
    store(at + 8, checksum.high);
}

Checksum128 hashOf(const std::byte* bytes, size_t length) {
    const XXH128_hash_t hash = XXH3_128bits(bytes, length);
    return {hash.low64, hash.high64};
}

bool readChecksum(ByteReader& reader, Checksum128* checksum) {
    return reader.fixed(&checksum->low) && reader.fixed(&checksum->high);
}

bool readRecord(ByteReader& reader, TableRecord* record) {
    return reader.text(&record->key) && reader.fixed(&record->put_id) &&
           reader.varint(&record->size) && reader.varintTo(&record->flags) &&
           reader.varint(&record->time_ms) && reader.varintTo(&record->replica) &&
           reader.varint(&record->object_offset) && reader.varintTo(&record->block) &&
           reader.varintTo(&record->length) && readChecksum(reader, &record->checksum);
}

}  // namespace

size_t PageBuilder::capacity(uint32_t blocks) {
    return size_t{blocks} * kBlockBytes - kHeaderSize;
}

size_t PageBuilder::recordBytes(std::string_view key) {
    return key.size() + kMostRecordBytes;
}

uint32_t PageBuilder::blocksFor(std::string_view key) {
    return recordBytes(key) <= capacity(1) ? 1 : kMaxPageBlocks;
}

PageBuilder::PageBuilder(const PagePlace& place, std::span<Block> memory)
    : place_(place), memory_(memory), used_(kHeaderSize) {
    std::memset(memory.data(), 0, memory.size_bytes());
}

bool PageBuilder::hasRoomFor(std::string_view key) const {
    return recordBytes(key) <= memory_.size_bytes() - used_;
}

uint32_t PageBuilder::add(const TableRecord& record) {
    std::string bytes;
    putText(&bytes, record.key);
    putFixed(&bytes, record.put_id);
    putVarint(&bytes, record.size);
    putVarint(&bytes, record.flags);
    putVarint(&bytes, record.time_ms);
    putVarint(&bytes, record.replica);
    putVarint(&bytes, record.object_offset);
    putVarint(&bytes, record.block);
    putVarint(&bytes, record.length);
    std::byte* const at = memory_.front().bytes + used_;
    std::memcpy(at, bytes.data(), bytes.size());
    checksums_at_.push_back(used_ + bytes.size());
    used_ += bytes.size() + kChecksumBytes;
    const auto number = static_cast<uint32_t>(checksums_at_.size() - 1);
    setChecksum(number, record.checksum);
    return number;
}

void PageBuilder::setChecksum(uint32_t record, const Checksum128& checksum) {
    storeChecksum(memory_.front().bytes + checksums_at_[record], checksum);
}

void PageBuilder::seal(uint32_t data_end) {
    std::byte* const page = memory_.front().bytes;
    std::byte* at = page + kCheckBytes;
    const auto next = [&at](auto value) {
        store(at, value);
        at += sizeof(value);
    };
    next(kMagic);
    std::memcpy(at, place_.file.bytes.data(), place_.file.bytes.size());
    at += place_.file.bytes.size();
    next(place_.region);
    next(place_.generation);
    next(place_.block);
    next(place_.blocks);
    next(data_end);
    next(static_cast<uint32_t>(checksums_at_.size()));
    storeChecksum(page, hashOf(page + kCheckBytes, memory_.size_bytes() - kCheckBytes));
}

std::optional<TablePage> readPage(std::span<const std::byte> memory, const Uuid& file,
                                  RegionIndex region, uint32_t block) {
    ByteReader header({reinterpret_cast<const char*>(memory.data()), kHeaderSize});
    Checksum128 check;
    uint64_t magic = 0;
    std::string_view uuid;
    TablePage page;
    PagePlace& place = page.place;
    uint32_t records = 0;
    readChecksum(header, &check);
    header.fixed(&magic);
    // Most blocks are none: that is all which is looked at of them.
    if (magic != kMagic) return std::nullopt;
    header.take(sizeof(Uuid::bytes), &uuid);
    std::memcpy(place.file.bytes.data(), uuid.data(), uuid.size());
    header.fixed(&place.region);
    header.fixed(&place.generation);
    header.fixed(&place.block);
    header.fixed(&place.blocks);
    header.fixed(&page.data_end);
    header.fixed(&records);
    if (place.file != file || place.region != region || place.block != block) return std::nullopt;
    if (place.blocks < 1 || place.blocks > kMaxPageBlocks) return std::nullopt;
    const size_t length = size_t{place.blocks} * kBlockBytes;
    if (length > memory.size()) return std::nullopt;
    if (hashOf(memory.data() + kCheckBytes, length - kCheckBytes) != check) return std::nullopt;
    ByteReader body(
        {reinterpret_cast<const char*>(memory.data()) + kHeaderSize, length - kHeaderSize});
    for (uint32_t i = 0; i < records; ++i) {
        TableRecord record;
        if (!readRecord(body, &record)) return std::nullopt;
        page.records.push_back(std::move(record));
    }
    return page;
}

}  // namespace mooncake::store
