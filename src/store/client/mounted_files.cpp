// SPDX-License-Identifier: Apache-2.0
#include "mounted_files.h"

#include <glog/logging.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_set>

#include "content_probe.h"
#include "region_table.h"
#include "take_file.h"

namespace mooncake::store {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook(50);

FileDescription describe(const Superblock& superblock) {
    FileDescription description;
    description.uuid = superblock.file;
    description.size = superblock.file_bytes;
    description.region_size = superblock.geometry.region_bytes;
    description.regions = superblock.geometry.regions;
    description.scratch = superblock.scratch;
    return description;
}

}  // namespace

// The file, whose it is, and that it is nobody else's on this machine.
Result<MountedFiles::Mounted> MountedFiles::take(const std::string& path, How how) {
    Mounted mounted;
    auto file = FdBlockFile::open(path);
    if (!file) return tl::unexpected(file.error());
    mounted.file = std::move(*file);
    if (flock(mounted.file->fd(), LOCK_EX | LOCK_NB) != 0) {
        return failed(Failure::kConflict, path +
                                              " is mounted by another client of this machine; "
                                              "unmount it there, or end that process");
    }
    TakeRules rules;
    rules.store = directory_.storeId().text();
    rules.overwrite = how.overwrite;
    rules.scratch = how.scratch;
    rules.new_file = Uuid::random();
    rules.now_ms = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                             std::chrono::system_clock::now().time_since_epoch())
                                             .count());
    const int fd = mounted.file->fd();
    const auto taken = takeFile(
        *mounted.file, path, [fd] { return probeContent(fd); }, rules);
    if (!taken) return tl::unexpected(taken.error());
    if (taken->was_repaired) {
        LOG(WARNING) << "store: one copy of the superblock of " << path
                     << " was damaged; it is restored from the other one";
    }
    if (taken->superblock.scratch && !how.scratch) {
        return failed(Failure::kRefused, path +
                                             " was made for one process and has no objects any "
                                             "more; remove it and mount a new one");
    }
    mounted.superblock = taken->superblock;
    return mounted;
}

Result<> MountedFiles::mount(const std::string& path, How how, Deadline deadline) {
    const std::lock_guard work(work_);
    {
        const std::lock_guard lock(mutex_);
        if (mounted_.contains(path)) {
            return failed(Failure::kInvalid, path + " is mounted by this client already");
        }
    }
    auto taken = take(path, how);
    if (!taken) return tl::unexpected(taken.error());
    Mounted& mounted = *taken;
    const auto info = directory_.addFile(describe(mounted.superblock), deadline);
    if (!info) return tl::unexpected(info.error());
    mounted.number = info->number;
    if (engine_.registerLocalFile(path, mounted.superblock.file_bytes, mounted.id) != 0) {
        return failed(Failure::kInternal,
                      path + " is not exported by the engine; the log above says why");
    }
    if (auto told = tellPatiently(path, mounted, deadline); !told) {
        (void)engine_.unregisterLocalFile(path);
        return told;
    }
    const FileNumber number = mounted.number;
    const FileBufferID id = mounted.id;
    {
        const std::lock_guard lock(mutex_);
        mounted_.emplace(path, std::move(mounted));
    }
    files_.setOwn(number, id);
    if (auto refreshed = files_.refresh(deadline); !refreshed) {
        LOG(WARNING) << "store: " << refreshed.error().message;
    }
    return {};
}

Result<> MountedFiles::tell(const std::string& path, const Mounted& mounted, Deadline deadline) {
    Mount mount;
    mount.node = node_;
    mount.segment = segmentName();
    mount.file_id = mounted.id;
    mount.path = path;
    return directory_.mountFile(mounted.number, mount, deadline);
}

// The file's lock is this client's, so that whoever served it on this machine is gone, and counts
// as a client until its lease has ended.
Result<> MountedFiles::tellPatiently(const std::string& path, const Mounted& mounted,
                                     Deadline deadline) {
    const auto patience = std::min(deadline, steady_clock::now() + lease_ + lease_ / 2);
    for (;;) {
        auto told = tell(path, mounted, deadline);
        if (told || told.error().failure != Failure::kConflict ||
            steady_clock::now() + kLook > patience) {
            return told;
        }
        std::this_thread::sleep_for(kLook);
    }
}

Result<> MountedFiles::announce(Deadline deadline) {
    const std::lock_guard lock(mutex_);
    Result<> all;
    for (const auto& [path, mounted] : mounted_) {
        auto told = tell(path, mounted, deadline);
        if (told) continue;
        const Failure failure = told.error().failure;
        if (failure != Failure::kNotFound && failure != Failure::kConflict) {
            all = std::move(told);
            continue;
        }
        LOG(ERROR) << "store: " << path
                   << " is not served any more, since it was given up or is another client's: "
                   << told.error().message;
        files_.setOwn(mounted.number, std::nullopt);
    }
    return all;
}

Result<> MountedFiles::unmount(const std::string& path, Deadline deadline) {
    const std::lock_guard work(work_);
    Mounted mounted;
    {
        const std::lock_guard lock(mutex_);
        const auto at = mounted_.find(path);
        if (at == mounted_.end()) {
            return failed(Failure::kInvalid, path + " is not mounted by this client");
        }
        mounted = std::move(at->second);
        mounted_.erase(at);
    }
    // First nobody begins anything more in it, then what is under way ends, then it is no longer
    // served.
    auto told = directory_.unmountFile(mounted.number, deadline);
    files_.setOwn(mounted.number, std::nullopt);
    if (auto refreshed = files_.refresh(deadline); !refreshed) {
        LOG(WARNING) << "store: " << refreshed.error().message;
    }
    open_.sealAll(mounted.number, deadline);
    if (mounted.superblock.scratch) {
        dropObjects(mounted, deadline);
        if (told) told = directory_.giveUpFile(mounted.number, deadline);
        ::unlink(path.c_str());
    }
    (void)engine_.unregisterLocalFile(path);
    return told;
}

void MountedFiles::unmountAll(Deadline deadline) {
    std::vector<std::string> paths;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [path, mounted] : mounted_) paths.push_back(path);
    }
    for (const std::string& path : paths) {
        if (auto done = unmount(path, deadline); !done) {
            LOG(WARNING) << "store: unmounting " << path << ": " << done.error().message;
        }
    }
}

// The entries of objects in a scratch file: nobody can use them, and nobody else knows them all.
void MountedFiles::dropObjects(const Mounted& mounted, Deadline deadline) {
    const auto regions = directory_.regions(mounted.number, deadline);
    if (!regions) return;
    for (const Region& region : *regions) {
        const auto table =
            readRegionTable(*mounted.file, mounted.superblock.geometry, mounted.superblock.file,
                            region.id.index, region.generation);
        if (!table) continue;
        std::unordered_set<std::string> keys;
        for (const TableRecord& record : table->records) keys.insert(record.key);
        const auto dropped = directory_.dropOlder({keys.begin(), keys.end()}, region.id,
                                                  region.generation + 1, deadline);
        if (!dropped) return;
    }
}

std::vector<FileNumber> MountedFiles::numbers() const {
    const std::lock_guard lock(mutex_);
    std::vector<FileNumber> all;
    for (const auto& [path, mounted] : mounted_) all.push_back(mounted.number);
    return all;
}

bool MountedFiles::empty() const {
    const std::lock_guard lock(mutex_);
    return mounted_.empty();
}

std::string MountedFiles::segmentName() const {
    const auto metadata = engine_.getMetadata();
    const auto own = metadata ? metadata->getSegmentDescByID(LOCAL_SEGMENT_ID) : nullptr;
    return own ? own->name : engine_.getLocalIpAndPort();
}

}  // namespace mooncake::store
