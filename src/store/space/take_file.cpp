// SPDX-License-Identifier: Apache-2.0
#include "take_file.h"

#include <algorithm>
#include <vector>

namespace mooncake::store {
namespace {

constexpr char kRemedy[] = "; to use it nevertheless, mount it with the option to overwrite";

Result<TakenFile> makeNew(BlockFile& file, const std::string& name, const TakeRules& rules) {
    const auto geometry = Geometry::of(file.size());
    if (!geometry) return failed(Failure::kInvalid, name + ": " + geometry.error().message);
    TakenFile taken;
    taken.superblock = {rules.store, rules.new_file, file.size(),
                        *geometry,   rules.now_ms,   rules.scratch};
    taken.is_new = true;
    if (const Result<> written = writeSuperblock(file, taken.superblock); !written) {
        return tl::unexpected(written.error());
    }
    return taken;
}

Result<bool> isBlank(BlockFile& file) {
    std::vector<std::byte> header(std::min(file.size(), kHeaderBytes) / kBlockBytes * kBlockBytes);
    if (const Result<> read = file.read(0, header); !read) return tl::unexpected(read.error());
    return std::all_of(header.begin(), header.end(), [](std::byte b) { return b == std::byte{0}; });
}

// Why a file without a superblock of this store is left alone; an empty message where it need not.
Result<Error> objection(BlockFile& file, const std::string& name,
                        const std::function<Result<std::string>()>& recognised,
                        const SuperblockReading& found) {
    if (found.state == SuperblockState::kOtherVersion) {
        return Error{Failure::kUnsupported, name + " was made by version " +
                                                std::to_string(found.version) +
                                                " of the store, and this is version " +
                                                std::to_string(kSuperblockVersion) + kRemedy};
    }
    if (found.state == SuperblockState::kDamaged) {
        return Error{Failure::kDamaged, name + " has a superblock that is damaged" + kRemedy};
    }
    const auto content = recognised();
    if (!content) return tl::unexpected(content.error());
    if (!content->empty()) {
        return Error{Failure::kRefused, name + " holds something else: " + *content + kRemedy};
    }
    const auto blank = isBlank(file);
    if (!blank) return tl::unexpected(blank.error());
    if (!*blank) {
        return Error{Failure::kRefused,
                     name + " holds something else: its first MiB is not zero" + kRemedy};
    }
    return Error{};
}

}  // namespace

Result<TakenFile> takeFile(BlockFile& file, const std::string& name,
                           const std::function<Result<std::string>()>& recognised,
                           const TakeRules& rules) {
    const auto found = readSuperblock(file);
    if (!found && !rules.overwrite) return tl::unexpected(found.error());
    const bool ours = found && found->state == SuperblockState::kGood;
    if (!ours) {
        if (!rules.overwrite) {
            const auto objects = objection(file, name, recognised, *found);
            if (!objects) return tl::unexpected(objects.error());
            if (!objects->message.empty()) return tl::unexpected(*objects);
        }
        return makeNew(file, name, rules);
    }
    const Superblock& superblock = found->superblock;
    if (superblock.store != rules.store) {
        if (rules.overwrite) return makeNew(file, name, rules);
        return failed(Failure::kConflict, name + " belongs to the store '" + superblock.store +
                                              "', and this is '" + rules.store + "'" + kRemedy);
    }
    if (file.size() < superblock.geometry.end()) {
        if (rules.overwrite) return makeNew(file, name, rules);
        return failed(Failure::kInvalid,
                      name + " has " + std::to_string(file.size()) + " bytes, and had " +
                          std::to_string(superblock.file_bytes) + " when it was made" + kRemedy);
    }
    TakenFile taken{superblock, false, found->needs_repair};
    if (found->needs_repair) {
        if (const Result<> written = writeSuperblock(file, superblock); !written) {
            return tl::unexpected(written.error());
        }
    }
    return taken;
}

}  // namespace mooncake::store
