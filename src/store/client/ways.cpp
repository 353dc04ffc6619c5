// SPDX-License-Identifier: Apache-2.0
#include "ways.h"

namespace mooncake::store {
namespace {

// Whoever could not be found is not looked for all the time.
constexpr std::chrono::seconds kAskAgain(1);

// Numbers are those of this process; a node tells the one under which it exports the file.
std::optional<FileBufferID> numberHere(const TransferMetadata::SegmentDesc& segment,
                                       uint64_t exported_as) {
    for (const auto& file : segment.file_buffers) {
        if ((file.nsid != 0 ? file.nsid : file.id) == exported_as) return file.id;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Way> Ways::find(FileNumber file, const Mount& mount) {
    bool afresh = false;
    {
        const std::lock_guard lock(mutex_);
        if (const auto at = known_.find(file); at != known_.end()) {
            const Known& known = at->second;
            const bool same = known.mount == mount;
            if (same && (known.way || Clock::now() < known.found + kAskAgain)) return known.way;
            afresh = true;
        }
    }
    const auto way = ask(mount, afresh);
    const std::lock_guard lock(mutex_);
    known_[file] = {mount, way, Clock::now()};
    return way;
}

void Ways::forget(FileNumber file) {
    const std::lock_guard lock(mutex_);
    if (const auto at = known_.find(file); at != known_.end()) {
        at->second.way = std::nullopt;
        at->second.found = {};
    }
}

std::optional<Way> Ways::ask(const Mount& mount, bool afresh) {
    const SegmentHandle segment = engine_->openSegment(mount.segment);
    const auto metadata = engine_->getMetadata();
    if (segment == static_cast<SegmentHandle>(-1) || !metadata) return std::nullopt;
    // A descriptor that was fetched earlier may be of before the mount.
    for (const bool force : {false, true}) {
        if (afresh && !force) continue;
        const auto description =
            metadata->getSegmentDescByID(segment, force && segment != LOCAL_SEGMENT_ID);
        if (!description) continue;
        if (const auto number = numberHere(*description, mount.file_id)) {
            return Way{segment, *number};
        }
    }
    return std::nullopt;
}

}  // namespace mooncake::store
