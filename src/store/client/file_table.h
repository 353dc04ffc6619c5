// SPDX-License-Identifier: Apache-2.0
// The files of the store as this client knows them.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data_path.h"
#include "directory.h"
#include "geometry.h"
#include "ways.h"

namespace mooncake::store {

// What this client counts of a file.
struct FileLoad {
    std::atomic<uint64_t> in_flight{0};  // bytes on their way, of this client
    std::atomic<uint32_t> clean{0};      // regions, when they were last asked for
};

struct KnownFile {
    FileInfo info;
    Geometry geometry;
    bool is_gone = false;  // nobody will ever read it again
    bool is_near = false;  // on this machine
    // Mounted by this client: by which number of the own segment. It needs no directory.
    std::optional<FileBufferID> own;
    std::shared_ptr<FileLoad> load;

    // Somebody serves it.
    bool isServed() const { return own.has_value() || (info.mount && !is_gone); }
    Place placeOf(const Way& way, const Extent& extent) const {
        return {way.segment, way.file, geometry.offsetOf(extent.region.index) + extent.offset};
    }
};

using FileMap = std::unordered_map<FileNumber, KnownFile>;

// A file that this client serves.
struct OwnFile {
    FileBufferID number = 0;  // of the own segment
    Uuid uuid;                // what counts where the directory has given its number to another one
};

// Thread rule: any thread.
class FileTable {
 public:
    // @param node  this machine's name
    FileTable(Directory& directory, Ways& ways, std::string node);

    // Never changed once it is given out.
    std::shared_ptr<const FileMap> files() const;
    // Whether there is no file but those that are served.
    bool allServed() const { return all_served_.load(std::memory_order_relaxed); }

    // Asks the directory.
    // @return what it says
    Result<std::vector<FileInfo>> look(Deadline deadline);
    Result<> refresh(Deadline deadline);
    // The same, unless that was a moment ago. @return whether it was asked, and answered
    bool refreshAgain(Deadline deadline);
    void apply(const Changes& changes);
    // How many regions can be taken.
    Result<> refreshClean(Deadline deadline);
    // This client serves the file; none: no longer.
    void setOwn(FileNumber file, std::optional<OwnFile> own);

    // Nothing where the file is not served, or cannot be found.
    std::optional<Way> wayTo(const KnownFile& file);
    void forgetWay(FileNumber file) { ways_.forget(file); }

 private:
    void applyLocked(const Changes& changes);
    void publishLocked(FileMap files);
    void fill(KnownFile* file) const;

    Directory& directory_;
    Ways& ways_;
    const std::string node_;
    mutable std::mutex mutex_;
    std::shared_ptr<const FileMap> files_;
    uint64_t version_ = 0;  // how often something was applied
    std::unordered_map<FileNumber, OwnFile> own_;
    std::atomic<bool> all_served_{true};
    std::atomic<std::chrono::steady_clock::time_point> refreshed_{};
};

}  // namespace mooncake::store
