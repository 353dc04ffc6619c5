// SPDX-License-Identifier: Apache-2.0
#include "record_codec.h"

#include <algorithm>

#include "bytes.h"

namespace mooncake::store {

namespace {

constexpr char kVersion = 1;

std::optional<ByteReader> bodyOf(std::string_view bytes) {
    if (bytes.empty() || bytes.front() != kVersion) return std::nullopt;
    return ByteReader(bytes.substr(1));
}

}  // namespace

std::string encodeFile(const FileRecord& record) {
    const FileDescription& file = record.description;
    std::string out(1, kVersion);
    out.append(reinterpret_cast<const char*>(file.uuid.bytes.data()), file.uuid.bytes.size());
    putVarint(&out, file.size);
    putVarint(&out, file.region_size);
    putVarint(&out, file.regions);
    putVarint(&out, file.scratch ? 1 : 0);
    putVarint(&out, static_cast<uint64_t>(record.state));
    return out;
}

std::optional<FileRecord> decodeFile(std::string_view bytes) {
    auto reader = bodyOf(bytes);
    FileRecord record;
    FileDescription& file = record.description;
    std::string_view uuid;
    uint64_t scratch = 0, state = 0;
    if (!reader || !reader->take(file.uuid.bytes.size(), &uuid) || !reader->varint(&file.size) ||
        !reader->varint(&file.region_size) || !reader->varintTo(&file.regions) ||
        !reader->varint(&scratch) || !reader->varint(&state) || reader->left() != 0) {
        return std::nullopt;
    }
    if (scratch > 1 || (state != 1 && state != 2)) return std::nullopt;
    std::copy(uuid.begin(), uuid.end(), file.uuid.bytes.begin());
    file.scratch = scratch == 1;
    record.state = static_cast<FileState>(state);
    return record;
}

std::string encodeMount(const Mount& mount) {
    std::string out(1, kVersion);
    putVarint(&out, mount.client);
    putVarint(&out, mount.file_id);
    putText(&out, mount.node);
    putText(&out, mount.segment);
    putText(&out, mount.path);
    return out;
}

std::optional<Mount> decodeMount(std::string_view bytes) {
    auto reader = bodyOf(bytes);
    Mount mount;
    if (!reader || !reader->varint(&mount.client) || !reader->varint(&mount.file_id) ||
        !reader->text(&mount.node) || !reader->text(&mount.segment) || !reader->text(&mount.path) ||
        reader->left() != 0) {
        return std::nullopt;
    }
    return mount;
}

std::string encodeRegion(const RegionRecord& record) {
    std::string out(1, kVersion);
    putVarint(&out, static_cast<uint64_t>(record.state));
    putVarint(&out, record.generation);
    putVarint(&out, record.owner);
    putVarint(&out, record.token);
    putVarint(&out, record.use.bytes);
    putVarint(&out, record.use.objects);
    return out;
}

std::optional<RegionRecord> decodeRegion(std::string_view bytes) {
    auto reader = bodyOf(bytes);
    RegionRecord record;
    uint64_t state = 0;
    if (!reader || !reader->varint(&state) || !reader->varint(&record.generation) ||
        !reader->varint(&record.owner) || !reader->varint(&record.token) ||
        !reader->varint(&record.use.bytes) || !reader->varint(&record.use.objects) ||
        reader->left() != 0 || state < 1 || state > 4) {
        return std::nullopt;
    }
    record.state = static_cast<RegionState>(state);
    return record;
}

}  // namespace mooncake::store
