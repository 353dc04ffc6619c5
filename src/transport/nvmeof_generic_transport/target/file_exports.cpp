// SPDX-License-Identifier: Apache-2.0
#include "file_exports.h"

#include <fcntl.h>
#include <glog/logging.h>

#include <cerrno>
#include <chrono>

#include "file_space.h"
#include "judged_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

// NVMET_MAX_NAMESPACES in drivers/nvme/target/nvmet.h.
constexpr size_t kMaxFiles = 1024;
constexpr uint32_t kMaxNsid = 0xfffffffe;  // the one above means all namespaces

}  // namespace

FileExports::FileExports(const NvmetTree& tree, std::string subsystemNqn,
                         const TargetOptions& options, BoundedThread& remover)
    : tree_(tree),
      subsystemNqn_(std::move(subsystemNqn)),
      options_(options),
      record_(subsystemNqn_, options.segment),
      remover_(remover),
      watcher_([this](uint32_t nsid, const std::string& what) { lose(nsid, what); }) {
    remover_.run([this] { removeInTurn(); });
}

FileExports::~FileExports() {
    {
        std::lock_guard guard(mutex_);
        if (stop_) return;  // by the remover itself
        stop_ = true;
    }
    changed_.notify_all();
    while (!remover_.endsWithin(std::chrono::hours(1))) {
    }
}

Result<ExportedFile> FileExports::add(uint32_t nsid, const std::string& path, uint64_t size,
                                      const FileRules& rules) {
    if (nsid == 0 || nsid > kMaxNsid) {
        return makeError(
            EINVAL, "cannot export " + inQuotes(path) + " as namespace " + std::to_string(nsid));
    }
    const bool judge = rules.pathCheck == PathCheck::kOn && options_.pathCheck == PathCheck::kOn;
    auto judged = JudgedFile::open(
        path, size,
        {options_.exportBusyDevices, rules.readOnly, judge ? PathCheck::kOn : PathCheck::kOff});
    if (!judged.ok()) return judged.error();
    BackingFile& file = judged.value().file;
    const ExportPlan& plan = judged.value().plan;
    if (auto reserved = reserve(nsid, file); !reserved.ok()) return reserved.error();
    if (plan.size != size) {
        LOG(WARNING) << "Of " << size << " bytes of " << inQuotes(path) << " only " << plan.size
                     << " are exported: whole blocks of " << plan.blockSize << " bytes";
    }

    auto served = serve(nsid, file, plan, rules.readOnly);
    if (served.ok()) return served;
    std::unique_lock lock(mutex_);
    const auto entry = exports_.find(nsid);
    if (entry == exports_.end()) return served;
    if (entry->second.ns == nullptr) {
        forget(nsid);
        return served;
    }
    if (entry->second.state != State::kLeaving) startLeaving(nsid);
    if (auto gone = waitUntilGone(lock, nsid); !gone.ok()) LOG(ERROR) << gone.error().message;
    return served;
}

// Enters the file, as one that is being added, unless it or its nsid is taken.
Result<> FileExports::reserve(uint32_t nsid, const BackingFile& file) {
    const std::string what =
        "cannot export " + inQuotes(file.path()) + " as namespace " + std::to_string(nsid);
    std::lock_guard guard(mutex_);
    if (used_.contains(nsid) || exports_.contains(nsid)) {
        return makeError(EEXIST, what,
                         "the id was used before and would be mistaken for that file");
    }
    if (const auto other = nsidOf_.find(file.identity()); other != nsidOf_.end()) {
        const Export& entry = exports_.at(other->second);
        return makeError(
            EEXIST, what,
            std::string(entry.state == State::kLeaving ? "it is just being taken back as"
                                                       : "it is exported already, as") +
                " namespace " + std::to_string(other->second) + " under the name " +
                inQuotes(entry.path));
    }
    if (exports_.size() >= kMaxFiles) {
        return makeError(EMFILE, what, "the kernel exports at most 1024 files of one segment");
    }
    exports_.try_emplace(nsid, file.path(), file.identity());
    nsidOf_[file.identity()] = nsid;
    return {};
}

void FileExports::forget(uint32_t nsid) {
    const auto entry = exports_.find(nsid);
    nsidOf_.erase(entry->second.identity);
    exports_.erase(entry);
}

Result<ExportedFile> FileExports::serve(uint32_t nsid, BackingFile& file, const ExportPlan& plan,
                                        bool readOnly) {
    const std::string name = inQuotes(file.path());
    if (!file.identity().blockDevice && !readOnly) {
        auto reserved = reserveSpaceWithin(options_.spaceLimit, file.fd(), plan.size, name);
        if (!reserved.ok()) return reserved.error();
    }

    auto enabled = readOnly ? enableReadOnly(nsid, file, plan) : enable(nsid, file, plan);
    if (!enabled.ok()) return enabled.error();
    ExportedFile exported{nsid, file.path(), plan.size, plan.blockSize, file.uuid()};
    if (auto settled = settle(nsid, file, plan, readOnly); !settled.ok()) return settled.error();
    return exported;
}

// From now on a remote host may know the nsid, and nothing else may go by it.
void FileExports::noteUsed(uint32_t nsid) {
    std::lock_guard guard(mutex_);
    used_.insert(nsid);
}

Result<> FileExports::enable(uint32_t nsid, const BackingFile& file, const ExportPlan& plan) {
    const std::string name = inQuotes(file.path());
    Namespace::Settings settings{namespaceUuid(subsystemNqn_, nsid), procPath(file.fd()),
                                 !file.directIo(), name};
    std::optional<LoopDevice> loop;
    if (plan.throughLoop) {
        auto attached = LoopDevice::attach(file.fd(), plan.size, plan.blockSize, file.directIo(),
                                           options_.devRoot);
        if (!attached.ok()) return attached.error();
        loop = attached.take();
        settings.devicePath = procPath(loop->fd());
        settings.bufferedIo = false;
    }
    auto made = makeNamespace(nsid, name);
    if (!made.ok()) return made.error();
    auto enabled = made.value()->enable(settings);
    if (enabled.ok()) noteUsed(nsid);
    return enabled;
}

// nvmet opens what it exports for writing: the loop device gets its file, read-only, after that.
Result<> FileExports::enableReadOnly(uint32_t nsid, const BackingFile& file,
                                     const ExportPlan& plan) {
    const std::string name = inQuotes(file.path());
    auto reserved = LoopDevice::reserve(options_.devRoot);
    if (!reserved.ok()) return reserved.error();
    auto made = makeNamespace(nsid, name);
    if (!made.ok()) return made.error();
    Export* entry;
    {
        std::lock_guard guard(mutex_);
        entry = &exports_.at(nsid);
    }
    // If a step fails, it stays ours until the namespace is gone.
    LoopDevice& loop = entry->emptyLoop.emplace(reserved.take());
    auto enabled = made.value()->enable(
        {namespaceUuid(subsystemNqn_, nsid), procPath(loop.fd()), false, name});
    if (!enabled.ok()) return enabled;
    noteUsed(nsid);
    if (auto done = loop.attachReadOnly(file.fd(), plan.size, file.directIo()); !done.ok()) {
        return done;
    }
    if (auto done = made.value()->refreshSize(); !done.ok()) return done;
    entry->emptyLoop.reset();
    return {};
}

// The namespace stays with its entry, also when what follows fails.
Result<Namespace*> FileExports::makeNamespace(uint32_t nsid, const std::string& file) {
    std::unique_lock lock(mutex_);
    ++makersWaiting_;
    const bool hasTurn =
        changed_.wait_for(lock, options_.removalLimit, [&] { return !turnTaken_; });
    --makersWaiting_;
    if (!hasTurn) {
        changed_.notify_all();
        return tookTooLong("cannot export " + file + " now");
    }
    turnTaken_ = true;
    lock.unlock();
    auto made = Namespace::make(tree_, subsystemNqn_, nsid);
    lock.lock();
    turnTaken_ = false;
    changed_.notify_all();
    if (!made.ok()) return made.error();
    Export& entry = exports_.at(nsid);
    entry.ns = made.take();
    return entry.ns.get();
}

// From here on a change of the file ends its export; one that came before is an error.
Result<> FileExports::settle(uint32_t nsid, BackingFile& file, const ExportPlan& plan,
                             bool readOnly) {
    const uint64_t size = plan.size;
    const bool throughLoop = plan.throughLoop || readOnly;
    const std::string what = "cannot export " + inQuotes(file.path());
    constexpr char kRemedy[] = "; register it again when it is at rest";
    const bool regular = !file.identity().blockDevice;
    // A loop device stays as large as it is. A file that nvmet has open itself is looked at again
    // with each host that comes, and then shown as large as it is by now.
    const FileExpectation expected{file.kernelName(), file.identity(),
                                   throughLoop ? size : file.geometry().size, !throughLoop};
    if (regular) {
        auto watched = watcher_.watch(nsid, file.fd(), expected);
        if (!watched.ok()) return watched;
    } else if (!file.deviceSizeUnchanged()) {
        return makeError(ESTALE, what, std::string("its size changed in the middle") + kRemedy);
    }
    std::shared_ptr<const ProcessFd> local;
    if (options_.localAccess) {
        // Opens nothing, but what is opened through it later is this file, whatever has its name.
        local = std::make_shared<const ProcessFd>(ProcessFd::open(
            [&] { return ::open(procPath(file.fd()).c_str(), O_PATH | O_CLOEXEC); }));
        if (!local->valid()) return makeError(errno, what);
    }
    record_.put(nsid, expected.path, size);
    {
        std::lock_guard guard(mutex_);
        Export& entry = exports_.at(nsid);
        if (!regular) entry.claim = std::move(file);
        entry.size = size;
        entry.blockSize = plan.blockSize;
        entry.readOnly = readOnly;
        entry.local = std::move(local);
        entry.state = State::kServed;
    }
    if (!regular) return {};
    const auto change = findChange(expected);
    return change ? makeError(ESTALE, what, *change + kRemedy) : Result<>();
}

void FileExports::lose(uint32_t nsid, const std::string& what) {
    std::string path;
    {
        std::lock_guard guard(mutex_);
        const auto entry = exports_.find(nsid);
        if (entry == exports_.end() || entry->second.state != State::kServed) return;
        path = entry->second.path;
        ++withdrawn_[reasonOf(what)];
        startLeaving(nsid);
    }
    LOG(ERROR) << inQuotes(path) << " (namespace " << nsid
               << ") is exported no more, and its remote "
               << "readers and writers get errors: " << what
               << ". To serve it again, unregister it and register it";
    if (options_.fileLost) options_.fileLost(nsid);
}

Result<LocalFile> FileExports::openLocally(uint32_t nsid, int openFlags) {
    LocalFile file{{}, {}, 0, 0, false};
    std::shared_ptr<const ProcessFd> same;
    {
        std::lock_guard guard(mutex_);
        const auto entry = exports_.find(nsid);
        if (entry == exports_.end() || entry->second.state != State::kServed) {
            return makeError(ENOENT, "namespace " + std::to_string(nsid) + " is not exported");
        }
        const Export& found = entry->second;
        file.path = found.path;
        file.size = found.size;
        file.blockSize = found.blockSize;
        file.readOnly = found.readOnly;
        same = found.local;
    }
    const std::string what = "cannot open " + inQuotes(file.path) + " for local access";
    if (!same) return makeError(EOPNOTSUPP, what);
    const int flags = (file.readOnly ? O_RDONLY : O_RDWR) | O_CLOEXEC | openFlags;
    file.fd = UniqueFd(::open(procPath(same->get()).c_str(), flags));
    if (file.fd.valid()) return file;
    const int error = errno;
    return makeError(error == EINVAL ? EOPNOTSUPP : error, what);
}

bool FileExports::contains(uint32_t nsid) {
    std::lock_guard guard(mutex_);
    const auto entry = exports_.find(nsid);
    return entry != exports_.end() && entry->second.state == State::kServed;
}

std::vector<uint32_t> FileExports::served() {
    std::lock_guard guard(mutex_);
    std::vector<uint32_t> nsids;
    for (const auto& [nsid, entry] : exports_) {
        if (entry.state == State::kServed) nsids.push_back(nsid);
    }
    return nsids;
}

TargetCounts FileExports::counts() {
    std::lock_guard guard(mutex_);
    TargetCounts counts;
    for (const auto& [nsid, entry] : exports_) {
        if (entry.state != State::kServed) continue;
        ++counts.files;
        counts.bytes += entry.size;
    }
    counts.withdrawn = withdrawn_;
    return counts;
}

Result<> FileExports::remove(uint32_t nsid) {
    std::unique_lock lock(mutex_);
    const auto entry = exports_.find(nsid);
    if (entry == exports_.end()) {
        return makeError(ENOENT, "namespace " + std::to_string(nsid) + " is not exported");
    }
    if (entry->second.state == State::kComing) {
        return makeError(EBUSY, "cannot remove " + inQuotes(entry->second.path),
                         "another call is adding it");
    }
    if (entry->second.state == State::kServed) startLeaving(nsid);
    return waitUntilGone(lock, nsid);
}

void FileExports::startLeaving(uint32_t nsid) {
    Export& entry = exports_.at(nsid);
    entry.state = State::kLeaving;
    entry.failure.reset();
    entry.local.reset();
    leaving_.push_back(nsid);
    changed_.notify_all();
}

template <class Condition>
bool FileExports::waitWhileMoving(std::unique_lock<std::mutex>& lock, Condition done) {
    while (!done()) {
        const uint64_t seen = removals_;
        const auto moved = [&] { return removals_ != seen || done(); };
        if (!changed_.wait_for(lock, options_.removalLimit, moved)) return false;
    }
    return true;
}

Result<> FileExports::waitUntilGone(std::unique_lock<std::mutex>& lock, uint32_t nsid) {
    const std::string name = inQuotes(exports_.at(nsid).path);
    std::optional<Error> failure;
    const auto settled = [&] {
        const auto entry = exports_.find(nsid);
        if (entry == exports_.end()) return true;
        failure = entry->second.failure;
        return entry->second.state != State::kLeaving;
    };
    if (!waitWhileMoving(lock, settled)) return tookTooLong(name + " is not taken back yet");
    return failure ? Result<>(*failure) : Result<>();
}

Error FileExports::tookTooLong(const std::string& what) const {
    if (removing_ == 0) return makeError(EBUSY, what, "other calls have been in the way");
    return makeError(EBUSY, what,
                     "namespace " + std::to_string(removing_) + " (" +
                         inQuotes(exports_.at(removing_).path) +
                         ") is being taken back, which lasts until its disk has ended the I/O in "
                         "flight; before that no file of this segment can come or go");
}

// The thread that removes.
void FileExports::removeInTurn() {
    std::shared_ptr<void> rest;
    {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [&] {
                return leaving_.empty() ? stop_ : !turnTaken_ && makersWaiting_ == 0;
            });
            if (leaving_.empty()) break;
            removing_ = leaving_.front();
            leaving_.pop_front();
            turnTaken_ = true;
            Export& entry = exports_.at(removing_);
            lock.unlock();
            auto removed = entry.ns->remove();
            if (removed.ok()) {
                watcher_.forget(removing_);
                record_.remove(removing_);
                entry.claim.reset();
            } else {
                LOG(ERROR) << removed.error().message;
            }
            lock.lock();
            if (removed.ok()) {
                forget(removing_);
            } else {
                entry.failure = removed.error();
                entry.state = State::kServed;
            }
            removing_ = 0;
            turnTaken_ = false;
            ++removals_;
            changed_.notify_all();
        }
        rest = std::move(rest_);
    }
    // This object may go with it.
    rest.reset();
}

Result<> FileExports::removeAll() {
    watcher_.stop();
    std::unique_lock lock(mutex_);
    for (auto& [nsid, entry] : exports_) {
        if (entry.state == State::kServed) startLeaving(nsid);
    }
    if (waitWhileMoving(lock, [&] { return leaving_.empty() && removing_ == 0; })) return {};
    return tookTooLong(std::to_string(exports_.size()) + " files are not taken back yet");
}

void FileExports::handOver(std::shared_ptr<void> rest) {
    std::lock_guard guard(mutex_);
    rest_ = std::move(rest);
    stop_ = true;
    changed_.notify_all();
}

}  // namespace mooncake::nvmeof_generic
