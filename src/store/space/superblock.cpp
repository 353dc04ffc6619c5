// SPDX-License-Identifier: Apache-2.0
//
//   16 bytes  XXH3-128 of the rest of the block
//    8        magic
//    4        version
//             store's name (length, bytes), uuid, file's bytes, region's bytes, regions, time,
//             flags zeros to the end
//
// Check, magic and version keep their places in every version.
#include "superblock.h"

#include <xxhash.h>

#include <cstring>

#include "bytes.h"

namespace mooncake::store {
namespace {

constexpr std::string_view kMagic = "MCSTFILE";
constexpr size_t kCheckBytes = 16;
constexpr uint8_t kScratch = 1;

std::string checkOf(std::string_view body) {
    const XXH128_hash_t hash = XXH3_128bits(body.data(), body.size());
    std::string check;
    putFixed(&check, hash.low64);
    putFixed(&check, hash.high64);
    return check;
}

bool readBody(ByteReader& reader, Superblock* superblock) {
    std::string_view uuid;
    uint8_t flags = 0;
    if (!reader.text(&superblock->store) || !reader.take(sizeof(Uuid::bytes), &uuid) ||
        !reader.fixed(&superblock->file_bytes) ||
        !reader.fixed(&superblock->geometry.region_bytes) ||
        !reader.fixed(&superblock->geometry.regions) || !reader.fixed(&superblock->made_ms) ||
        !reader.fixed(&flags)) {
        return false;
    }
    std::memcpy(superblock->file.bytes.data(), uuid.data(), uuid.size());
    superblock->scratch = (flags & kScratch) != 0;
    const auto geometry = Geometry::of(superblock->file_bytes);
    return geometry && *geometry == superblock->geometry;
}

}  // namespace

Result<SuperblockBytes> encodeSuperblock(const Superblock& superblock) {
    if (superblock.store.empty() || superblock.store.size() > kMaxStoreName) {
        return failed(Failure::kInvalid,
                      "the store's name has " + std::to_string(superblock.store.size()) +
                          " bytes; it takes 1 to " + std::to_string(kMaxStoreName));
    }
    std::string body(kMagic);
    putFixed(&body, kSuperblockVersion);
    putText(&body, superblock.store);
    body.append(reinterpret_cast<const char*>(superblock.file.bytes.data()),
                superblock.file.bytes.size());
    putFixed(&body, superblock.file_bytes);
    putFixed(&body, superblock.geometry.region_bytes);
    putFixed(&body, superblock.geometry.regions);
    putFixed(&body, superblock.made_ms);
    putFixed(&body, static_cast<uint8_t>(superblock.scratch ? kScratch : 0));
    body.resize(kBlockBytes - kCheckBytes);
    SuperblockBytes bytes;
    std::memcpy(bytes.data(), checkOf(body).data(), kCheckBytes);
    std::memcpy(bytes.data() + kCheckBytes, body.data(), body.size());
    return bytes;
}

SuperblockReading decodeSuperblock(const SuperblockBytes& bytes) {
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string_view body = all.substr(kCheckBytes);
    SuperblockReading reading;
    if (!body.starts_with(kMagic)) return reading;
    reading.state = SuperblockState::kDamaged;
    if (all.substr(0, kCheckBytes) != checkOf(body)) return reading;
    ByteReader reader(body.substr(kMagic.size()));
    if (!reader.fixed(&reading.version)) return reading;
    if (reading.version != kSuperblockVersion) {
        reading.state = SuperblockState::kOtherVersion;
    } else if (readBody(reader, &reading.superblock)) {
        reading.state = SuperblockState::kGood;
    }
    return reading;
}

Result<SuperblockReading> readSuperblock(BlockFile& file) {
    if (file.size() < kHeaderBytes) return SuperblockReading{};
    SuperblockReading copies[2];
    const uint64_t places[2] = {0, kSuperblockCopyAt};
    Error unread{};
    bool could_read[2] = {};
    for (int i = 0; i < 2; ++i) {
        SuperblockBytes bytes;
        Result<> read = file.read(places[i], bytes);
        could_read[i] = read.has_value();
        if (read) {
            copies[i] = decodeSuperblock(bytes);
        } else {
            unread = read.error();
        }
    }
    if (!could_read[0] && !could_read[1]) return tl::unexpected(unread);
    // What is good counts before what is not, and the worst that is known of the rest.
    for (const SuperblockState state :
         {SuperblockState::kGood, SuperblockState::kOtherVersion, SuperblockState::kDamaged}) {
        for (int i = 0; i < 2; ++i) {
            if (copies[i].state != state) continue;
            SuperblockReading& other = copies[1 - i];
            copies[i].needs_repair =
                state == SuperblockState::kGood &&
                (other.state != SuperblockState::kGood || other.superblock != copies[i].superblock);
            return copies[i];
        }
    }
    // Absent, as far as can be told.
    if (!could_read[0] || !could_read[1]) return tl::unexpected(unread);
    return SuperblockReading{};
}

Result<> writeSuperblock(BlockFile& file, const Superblock& superblock) {
    const auto bytes = encodeSuperblock(superblock);
    if (!bytes) return tl::unexpected(bytes.error());
    for (const uint64_t place : {kSuperblockCopyAt, uint64_t{0}}) {
        if (Result<> written = file.write(place, *bytes); !written) return written;
        if (Result<> flushed = file.flush(); !flushed) return flushed;
    }
    return {};
}

}  // namespace mooncake::store
