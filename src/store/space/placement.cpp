// SPDX-License-Identifier: Apache-2.0
#include "placement.h"

#include <algorithm>

namespace mooncake::store {
namespace {

// Puts go where there is space, not only there: a node that has just come would have all of them.
constexpr uint64_t kSpareWeight = 8;

uint64_t weightOf(const FileRoom& file) {
    const uint32_t reserve = cleanReserve(file.regions);
    const uint64_t spare = file.clean > reserve ? file.clean - reserve : 0;
    return kSpareWeight * spare + file.regions;
}

// Files of nodes that have no replica yet, on this node or, without one, on any.
std::vector<const FileRoom*> candidates(std::span<const FileRoom> files,
                                        const std::vector<std::string_view>& taken,
                                        const std::string_view* node) {
    std::vector<const FileRoom*> found;
    for (const FileRoom& file : files) {
        if (file.clean + file.evictable == 0) continue;
        if (node != nullptr && file.node != *node) continue;
        if (std::find(taken.begin(), taken.end(), file.node) != taken.end()) continue;
        found.push_back(&file);
    }
    return found;
}

}  // namespace

uint32_t cleanReserve(uint32_t regions) {
    constexpr uint32_t kFewest = 1;
    constexpr uint32_t kMost = 32;
    return std::clamp(regions / 16, kFewest, kMost);
}

const FileRoom* Placement::draw(const std::vector<const FileRoom*>& among) {
    uint64_t total = 0;
    for (const FileRoom* file : among) total += weightOf(*file);
    const auto one = [&] {
        uint64_t at = std::uniform_int_distribution<uint64_t>(0, total - 1)(random_);
        for (const FileRoom* file : among) {
            if (at < weightOf(*file)) return file;
            at -= weightOf(*file);
        }
        return among.back();
    };
    const FileRoom* const first = one();
    const FileRoom* const second = one();
    return second->in_flight < first->in_flight ? second : first;
}

std::vector<FileNumber> Placement::choose(std::span<const FileRoom> files, const Wish& wish) {
    std::vector<FileNumber> chosen;
    std::vector<std::string_view> taken;
    const auto takeOne = [&](const std::string_view* node) {
        const auto among = candidates(files, taken, node);
        if (among.empty()) return false;
        const FileRoom* const file = draw(among);
        chosen.push_back(file->file);
        taken.push_back(file->node);
        return true;
    };
    for (const std::string& preferred : wish.preferred) {
        if (chosen.size() == wish.replicas) return chosen;
        const std::string_view node = preferred;
        takeOne(&node);
    }
    while (chosen.size() < wish.replicas && takeOne(nullptr)) {
    }
    return chosen;
}

}  // namespace mooncake::store
