// SPDX-License-Identifier: Apache-2.0
#include "directory.h"

namespace mooncake::store {

namespace {

constexpr size_t kPage = 1000;

}  // namespace

Result<FileUse> Directory::usage(FileNumber file, Deadline deadline) {
    const auto known = files(deadline);
    if (!known) return tl::unexpected(known.error());
    const auto taken = regions(file, deadline);
    if (!taken) return tl::unexpected(taken.error());
    for (const FileInfo& info : *known) {
        if (info.number != file) continue;
        FileUse use;
        use.clean = info.description.regions - static_cast<uint32_t>(taken->size());
        for (const Region& region : *taken) {
            switch (region.state) {
                case RegionState::kClean:
                    ++use.clean;
                    break;
                case RegionState::kOpen:
                    ++use.open;
                    break;
                case RegionState::kSealed:
                    ++use.sealed;
                    use.use.bytes += region.use.bytes;
                    use.use.objects += region.use.objects;
                    break;
                case RegionState::kCleaning:
                    ++use.cleaning;
                    break;
            }
        }
        return use;
    }
    return failed(Failure::kNotFound, "the directory knows no file " + std::to_string(file));
}

Result<uint64_t> Directory::removeMatching(
    const std::string& prefix,
    const std::function<bool(std::string_view, const ObjectEntry&)>& matches, Deadline deadline) {
    uint64_t removed = 0;
    std::string from;
    do {
        auto page = list(prefix, from, kPage, deadline);
        if (!page) return tl::unexpected(page.error());
        std::vector<std::string> keys;
        for (auto& [key, entry] : page->objects) {
            if (matches(key, entry)) keys.push_back(std::move(key));
        }
        const auto edits = edit(
            keys,
            [&](std::string_view key, ObjectEntry* entry) {
                return matches(key, *entry) ? Edit::kRemove : Edit::kKeep;
            },
            deadline);
        if (!edits) return tl::unexpected(edits.error());
        for (const Edit one : *edits) removed += one == Edit::kRemove ? 1 : 0;
        from = page->next;
    } while (!from.empty());
    return removed;
}

Result<> Directory::dropOlder(const std::vector<std::string>& keys, RegionId region,
                              Generation generation, Deadline deadline) {
    const auto edits = edit(
        keys,
        [&](std::string_view, ObjectEntry* entry) {
            if (!store::dropOlder(entry, region, generation)) return Edit::kKeep;
            return entry->replicas.empty() ? Edit::kRemove : Edit::kChange;
        },
        deadline);
    if (!edits) return tl::unexpected(edits.error());
    return {};
}

Result<> Directory::dropReplica(const std::string& key, const Replica& bad, Deadline deadline) {
    const auto edits = edit(
        {key},
        [&](std::string_view, ObjectEntry* entry) {
            if (!store::dropReplica(entry, bad)) return Edit::kKeep;
            return entry->replicas.empty() ? Edit::kRemove : Edit::kChange;
        },
        deadline);
    if (!edits) return tl::unexpected(edits.error());
    return {};
}

}  // namespace mooncake::store
