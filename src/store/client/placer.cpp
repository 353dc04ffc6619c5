// SPDX-License-Identifier: Apache-2.0
#include "placer.h"

#include <algorithm>

#include "node_name.h"

namespace mooncake::store {

Placer::Placer(std::shared_ptr<const FileMap> files, const ReplicateConfig& config, uint64_t seed)
    : files_(std::move(files)),
      placement_(seed),
      copies_(static_cast<uint32_t>(config.replica_num)) {
    // A node is preferred under the name of its segment, under its host, and under its own name.
    const auto prefer = [&](const std::string& name) {
        if (name.empty()) return;
        for (const auto& [number, file] : *files_) {
            if (!file.info.mount) continue;
            const Mount& mount = *file.info.mount;
            if (name != mount.segment && name != mount.node && name != hostOf(mount.segment)) {
                continue;
            }
            preferred_.push_back(mount.node);
            return;
        }
        knows_preferred_ = false;
    };
    prefer(config.preferred_segment);
    for (const std::string& name : config.preferred_segments) prefer(name);
    fill();
    for (const FileRoom& room : rooms_) {
        capacity_ += uint64_t{room.regions} * files_->at(room.file).geometry.region_bytes;
    }
}

bool Placer::hasAllThatIsWanted() const {
    std::set<std::string_view> nodes;
    for (const FileRoom& room : rooms_) nodes.insert(room.node);
    return knows_preferred_ && nodes.size() >= copies_;
}

void Placer::fill() {
    rooms_.clear();
    for (const auto& [number, file] : *files_) {
        if (!file.info.mount || file.is_gone || excluded_.contains(number)) continue;
        const uint32_t regions = file.geometry.regions;
        const uint32_t clean = std::min(file.load->clean.load(), regions);
        rooms_.push_back({number, file.info.mount->node, regions, clean, regions - clean,
                          file.load->in_flight.load()});
    }
}

std::vector<const KnownFile*> Placer::choose(uint64_t object_bytes, const Wish& wish,
                                             const std::vector<FileRoom>& rooms) {
    std::vector<const KnownFile*> chosen;
    for (const FileNumber number : placement_.choose(rooms, wish)) {
        chosen.push_back(&files_->at(number));
        for (FileRoom& room : rooms_) {
            if (room.file == number) room.in_flight += object_bytes;
        }
    }
    return chosen;
}

std::vector<const KnownFile*> Placer::choose(uint64_t object_bytes) {
    return choose(object_bytes, {copies_, preferred_}, rooms_);
}

void Placer::addFile(FileNumber file, std::vector<const KnownFile*>* files) const {
    const KnownFile* const known = &files_->at(file);
    if (files->empty() || files->back() != known) files->push_back(known);
}

bool Placer::isNodeOfOne(const KnownFile& file, const std::vector<const KnownFile*>& others) {
    return std::any_of(others.begin(), others.end(), [&](const KnownFile* other) {
        return other->info.mount->node == file.info.mount->node;
    });
}

const KnownFile* Placer::another(const std::vector<const KnownFile*>& besides,
                                 uint64_t object_bytes, const std::string& node) {
    std::vector<FileRoom> rooms;
    for (const FileRoom& room : rooms_) {
        if (!isNodeOfOne(files_->at(room.file), besides)) rooms.push_back(room);
    }
    std::vector<std::string> preferred = preferred_;
    if (!node.empty()) preferred.insert(preferred.begin(), node);
    const auto chosen = choose(object_bytes, {1, preferred}, rooms);
    return chosen.empty() ? nullptr : chosen.front();
}

void Placer::exclude(FileNumber file) {
    excluded_.insert(file);
    std::erase_if(rooms_, [&](const FileRoom& room) { return room.file == file; });
}

void Placer::clearExcluded() {
    excluded_.clear();
    fill();
}

}  // namespace mooncake::store
