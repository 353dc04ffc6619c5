// SPDX-License-Identifier: Apache-2.0
#include "mounted_files.h"

#include <glog/logging.h>
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

FileDescription descriptionOf(const Superblock& superblock) {
    FileDescription description;
    description.uuid = superblock.file;
    description.size = superblock.file_bytes;
    description.region_size = superblock.geometry.region_bytes;
    description.regions = superblock.geometry.regions;
    description.scratch = superblock.scratch;
    return description;
}

Result<> isBusy(const std::string& path) {
    return failed(Failure::kTimeout,
                  path +
                      " has to wait for another file that is mounted or unmounted, and that is "
                      "not done in time; see whether the directory answers");
}

}  // namespace

bool MountedFiles::Export::end() {
    const auto ended = withoutThrowing([&]() -> Result<> {
        if (!is_there_ || engine_.unregisterLocalFile(path_) == 0) return {};
        return failed(Failure::kInternal, "see above");
    });
    if (ended) {
        is_there_ = false;
        return true;
    }
    LOG(ERROR) << "store: the engine exports " << path_ << " still: " << ended.error().message;
    return false;
}

// What cannot be ended now is ended later, and is locked until then.
class MountedFiles::Ending {
 public:
    Ending(MountedFiles& files, ByPath::node_type node) : files_(files), node_(std::move(node)) {}
    ~Ending() {
        if (node_.mapped().exported->end()) return;
        files_.left_.insert(std::move(node_));
        ++files_.doubts_;
    }
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;

 private:
    MountedFiles& files_;
    ByPath::node_type node_;
};

// What the file is, or is made to be.
Result<Superblock> MountedFiles::take(FdBlockFile& file, const std::string& path, bool overwrite,
                                      bool scratch) {
    TakeRules rules;
    rules.store = directory_.storeId().text();
    rules.overwrite = overwrite;
    rules.scratch = scratch;
    rules.new_file = Uuid::random();
    rules.now_ms = static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                             std::chrono::system_clock::now().time_since_epoch())
                                             .count());
    const int fd = file.fd();
    const auto taken = takeFile(
        file, path, [fd] { return probeContent(fd); }, rules);
    if (!taken) return tl::unexpected(taken.error());
    if (taken->was_repaired) {
        LOG(WARNING) << "store: one copy of the superblock of " << path
                     << " was damaged; it is restored from the other one";
    }
    if (taken->superblock.scratch && !scratch) {
        return failed(Failure::kRefused, path +
                                             " was made for one process and has no objects any "
                                             "more; remove it and mount a new one");
    }
    return taken->superblock;
}

Result<> MountedFiles::mount(const std::string& path, bool overwrite, Deadline deadline) {
    const auto work = work_.lock(deadline);
    if (!work) return isBusy(path);
    {
        const std::lock_guard lock(mutex_);
        if (mounted_.contains(path)) {
            return failed(Failure::kInvalid, path + " is mounted by this client already");
        }
    }
    std::erase_if(left_, [](const auto& one) { return one.second.exported->end(); });
    auto file = FdBlockFile::open(path);
    if (!file) return tl::unexpected(file.error());
    if (!(*file)->lock(false)) {
        return failed(Failure::kConflict, path +
                                              " is mounted by another client of this machine; "
                                              "unmount it there, or end that process");
    }
    return serve(path, std::move(*file), overwrite, false, deadline);
}

Result<> MountedFiles::mountScratch(ScratchFile scratch, Deadline deadline) {
    const auto work = work_.lock(deadline);
    auto served = work ? serve(scratch.path, std::move(scratch.file), true, true, deadline)
                       : isBusy(scratch.path);
    if (!served) ::unlink(scratch.path.c_str());
    return served;
}

Result<> MountedFiles::serve(const std::string& path, std::unique_ptr<FdBlockFile> file,
                             bool overwrite, bool scratch, Deadline deadline) {
    ByPath one;
    Mounted& mounted = one[path];
    auto superblock = take(*file, path, overwrite, scratch);
    if (!superblock) return tl::unexpected(superblock.error());
    mounted.file = std::move(file);
    mounted.superblock = std::move(*superblock);
    const auto info = directory_.addFile(descriptionOf(mounted.superblock), deadline);
    if (!info) return tl::unexpected(info.error());
    mounted.number = info->number;
    mounted.exported = std::make_unique<Export>(engine_, path, mounted.superblock.file_bytes);
    if (!mounted.exported->isThere()) {
        return failed(Failure::kInternal,
                      path + " is not exported by the engine; the log above says why");
    }
    // Until it is known what the directory says.
    ++doubts_;
    const ClientId self = directory_.lease().client;
    const bool was_here = info->mount && info->mount->node == node_;
    if (auto told = tellPatiently(describe(path, mounted), was_here, deadline); !told) return told;
    files_.setOwn(mounted.number, OwnFile{mounted.exported->id(), mounted.superblock.file});
    {
        const std::lock_guard lock(mutex_);
        mounted_.merge(one);
    }
    // What was told under an earlier lease has ended with it, and the joining told of others.
    if (directory_.lease().client == self) --doubts_;
    if (auto refreshed = files_.refresh(deadline); !refreshed) {
        LOG(WARNING) << "store: " << refreshed.error().message;
    }
    return {};
}

MountedFiles::Served MountedFiles::describe(const std::string& path, const Mounted& mounted) {
    return {path, mounted.superblock, mounted.number, mounted.exported->id()};
}

std::vector<MountedFiles::Served> MountedFiles::allServed() const {
    const std::lock_guard lock(mutex_);
    std::vector<Served> all;
    for (const auto& [path, mounted] : mounted_) all.push_back(describe(path, mounted));
    return all;
}

Result<> MountedFiles::tell(const Served& file, FileNumber number, Deadline deadline) {
    Mount mount;
    mount.node = node_;
    mount.segment = segmentName();
    mount.file_id = file.exported_as;
    mount.path = file.path;
    return directory_.mountFile(number, mount, deadline);
}

// The file's lock is this client's, so that whoever served it on this machine is gone, and counts
// as a client until its lease has ended: later than that says, where etcd was restarted meanwhile.
// @param was_here  whether it was served on this machine
Result<> MountedFiles::tellPatiently(const Served& file, bool was_here, Deadline deadline) {
    const auto patience =
        was_here ? deadline : std::min(deadline, steady_clock::now() + lease_ + lease_ / 2);
    for (;;) {
        auto told = tell(file, file.number, deadline);
        if (told || told.error().failure != Failure::kConflict ||
            steady_clock::now() + kLook > patience) {
            return told;
        }
        std::this_thread::sleep_for(kLook);
    }
}

Result<> MountedFiles::announce(Deadline deadline) {
    Result<> all;
    for (const Served& file : allServed()) {
        if (auto told = announceOne(file, deadline); !told) all = std::move(told);
    }
    return all;
}

// Its number may be another one: the file was given up meanwhile, or the directory was set back to
// a state from before, and has given the number to another file.
// @return what is no matter of this file alone
Result<> MountedFiles::announceOne(const Served& file, Deadline deadline) {
    const auto info = directory_.addFile(descriptionOf(file.superblock), deadline);
    auto told = info ? tell(file, info->number, deadline) : tl::unexpected(info.error());
    if (told) {
        renumber(file, info->number, true);
        return {};
    }
    const Failure failure = told.error().failure;
    if (failure != Failure::kNotFound && failure != Failure::kConflict &&
        failure != Failure::kInvalid) {
        return told;
    }
    LOG(ERROR) << "store: " << file.path << " is not served any more: " << told.error().message;
    renumber(file, info ? info->number : file.number, false);
    return {};
}

void MountedFiles::renumber(const Served& file, FileNumber number, bool is_served) {
    const std::lock_guard lock(mutex_);
    const auto at = mounted_.find(file.path);
    if (at == mounted_.end() || at->second.exported->id() != file.exported_as) {
        // Unmounted meanwhile: the directory may have heard of that before it heard of the file.
        ++doubts_;
        return;
    }
    Mounted& mounted = at->second;
    if (mounted.number != number) {
        LOG(WARNING) << "store: " << file.path << " was file " << mounted.number
                     << ", which the directory does not know any more; it is file " << number
                     << " now, without objects";
        files_.setOwn(mounted.number, std::nullopt);
        mounted.number = number;
    }
    files_.setOwn(number, is_served ? std::optional(OwnFile{file.exported_as, file.superblock.file})
                                    : std::nullopt);
}

Result<> MountedFiles::reconcile(Deadline deadline) {
    const auto work = work_.tryLock();
    if (!work) return {};
    const uint32_t doubts = doubts_;
    std::erase_if(left_, [](const auto& one) { return one.second.exported->end(); });
    const auto said = files_.look(deadline);
    if (!said) return tl::unexpected(said.error());
    std::map<FileNumber, const FileInfo*> of_number;
    for (const FileInfo& info : *said) of_number[info.number] = &info;

    for (const Served& file : allServed()) {
        const auto at = of_number.find(file.number);
        const bool is_known =
            at != of_number.end() && at->second->description.uuid == file.superblock.file;
        if (is_known && at->second->mount) {
            of_number.erase(at);
        } else if (auto told = announceOne(file, deadline); !told) {
            return told;
        }
    }
    const ClientId self = directory_.lease().client;
    for (const auto& [number, info] : of_number) {
        if (!info->mount || info->mount->client != self) continue;
        if (auto told = directory_.unmountFile(number, deadline); !told) return told;
    }
    if (left_.empty()) doubts_ -= doubts;
    return {};
}

Result<> MountedFiles::unmount(const std::string& path, Deadline deadline) {
    const auto work = work_.lock(deadline);
    if (!work) return isBusy(path);
    ByPath::node_type node;
    {
        const std::lock_guard lock(mutex_);
        node = mounted_.extract(path);
    }
    if (!node) return failed(Failure::kInvalid, path + " is not mounted by this client");
    const Mounted& mounted = node.mapped();
    const Ending ending(*this, std::move(node));
    // First nobody begins anything more in it, then what is under way ends, then it is no longer
    // served.
    ++doubts_;
    auto told = directory_.unmountFile(mounted.number, deadline);
    if (told) --doubts_;
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

std::string MountedFiles::segmentName() const {
    const auto metadata = engine_.getMetadata();
    const auto own = metadata ? metadata->getSegmentDescByID(LOCAL_SEGMENT_ID) : nullptr;
    return own ? own->name : engine_.getLocalIpAndPort();
}

}  // namespace mooncake::store
