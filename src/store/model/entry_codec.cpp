// SPDX-License-Identifier: Apache-2.0
#include "entry_codec.h"

#include <xxhash.h>

#include <cstdio>

#include "bytes.h"

namespace mooncake::store {

namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kCheckBytes = 4;
// One byte for each number and the checksum: what an extent takes at the least.
constexpr size_t kMinExtentBytes = 20;

void putExtent(std::string* out, const Extent& extent, bool is_last) {
    putVarint(out, extent.region.file);
    putVarint(out, extent.region.index);
    putVarint(out, extent.generation);
    putVarint(out, extent.offset);
    if (!is_last) putVarint(out, extent.length);
    putFixed(out, extent.checksum.low);
    putFixed(out, extent.checksum.high);
}

bool readReplica(ByteReader* reader, uint64_t size, Replica* replica) {
    uint64_t count = 0;
    if (!reader->varint(&count) || count == 0 || count > reader->left() / kMinExtentBytes) {
        return false;
    }
    replica->resize(count);
    for (size_t i = 0; i < count; ++i) {
        Extent& extent = (*replica)[i];
        if (!reader->varintTo(&extent.region.file) || !reader->varintTo(&extent.region.index) ||
            !reader->varint(&extent.generation) || !reader->varint(&extent.offset)) {
            return false;
        }
        extent.length = size;
        if (i + 1 < count && !reader->varint(&extent.length)) return false;
        if (extent.length > size) return false;
        size -= extent.length;
        if (!reader->fixed(&extent.checksum.low) || !reader->fixed(&extent.checksum.high)) {
            return false;
        }
    }
    return true;
}

bool readBody(ByteReader* reader, ObjectEntry* entry) {
    uint64_t replicas = 0;
    if (!reader->varint(&entry->size) || !reader->varintTo(&entry->flags) ||
        !reader->varint(&entry->time_ms) || !reader->varint(&replicas) || replicas > kMaxReplicas) {
        return false;
    }
    entry->replicas.resize(replicas);
    for (Replica& replica : entry->replicas) {
        if (!readReplica(reader, entry->size, &replica)) return false;
    }
    return reader->left() == 0;
}

// The key's bytes need not be text.
std::string shown(std::string_view key) {
    std::string text;
    for (const char c : key.substr(0, 100)) {
        if (c >= ' ' && c <= '~') {
            text += c;
            continue;
        }
        char code[5];
        std::snprintf(code, sizeof(code), "\\x%02x", static_cast<unsigned char>(c));
        text += code;
    }
    return text;
}

}  // namespace

uint32_t entryCheck(std::string_view key, std::string_view body) {
    const XXH64_hash_t seed = XXH3_64bits(key.data(), key.size());
    return static_cast<uint32_t>(XXH3_64bits_withSeed(body.data(), body.size(), seed));
}

std::string encodeEntry(std::string_view key, const ObjectEntry& entry) {
    std::string out;
    out.reserve(64);
    out.push_back(static_cast<char>(kVersion));
    putVarint(&out, entry.size);
    putVarint(&out, entry.flags);
    putVarint(&out, entry.time_ms);
    putVarint(&out, entry.replicas.size());
    for (const Replica& replica : entry.replicas) {
        putVarint(&out, replica.size());
        for (const Extent& extent : replica) putExtent(&out, extent, &extent == &replica.back());
    }
    putFixed(&out, entryCheck(key, out));
    return out;
}

Result<ObjectEntry> decodeEntry(std::string_view key, std::string_view bytes) {
    const auto damaged = [&](const std::string& cause) {
        return failed(Failure::kDamaged,
                      "the directory's entry of the key '" + shown(key) + "' is damaged: " + cause +
                          "; remove the object, or make the directory again from its files");
    };
    if (bytes.size() <= kCheckBytes || bytes.size() > kMaxEntryBytes) {
        return damaged("it has " + std::to_string(bytes.size()) + " bytes");
    }
    const std::string_view body = bytes.substr(0, bytes.size() - kCheckBytes);
    uint32_t check = 0;
    ByteReader(bytes.substr(body.size())).fixed(&check);
    if (check != entryCheck(key, body)) return damaged("its check is wrong");
    const auto version = static_cast<uint8_t>(body.front());
    if (version != kVersion) {
        return failed(Failure::kUnsupported, "the directory's entry of the key '" + shown(key) +
                                                 "' is of version " + std::to_string(version) +
                                                 ", and this library reads version " +
                                                 std::to_string(kVersion) + "; use a newer one");
    }
    ByteReader reader(body.substr(1));
    ObjectEntry entry;
    if (!readBody(&reader, &entry)) return damaged("its parts do not fit together");
    if (auto checked = checkEntry(entry); !checked) return damaged(checked.error().message);
    return entry;
}

}  // namespace mooncake::store
