// SPDX-License-Identifier: Apache-2.0
#include "file_watcher.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/thread.h"

namespace mooncake::nvmeof_generic {
namespace {

// Truncation is a modification; a lost name is a change of the link count, an attribute (nothing
// is told of the end of the file itself, which the kernel has open).
constexpr uint32_t kEvents = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF;

// What a program that writes to a watched file all the time costs at most: one look in this time.
constexpr int kPauseMilliseconds = 10;

Error watchError(int code, const std::string& what) {
    switch (code) {
        case ENOSPC:
            return makeError(code, what,
                             "this user has as many watches as the system allows: raise "
                             "fs.inotify.max_user_watches");
        case EMFILE:
            return makeError(code, what,
                             "raise fs.inotify.max_user_instances, or the limit of open files "
                             "(ulimit -n)");
        default:
            return makeError(code, what);
    }
}

// Takes what is in the queue of an inotify descriptor, up to a limit that a writer who never rests
// cannot push. @return whether events were lost
bool takeEvents(int inotify, std::set<int>& watches) {
    constexpr int kReads = 64;
    alignas(inotify_event) std::array<char, 16384> buffer;
    bool lost = false;
    for (int i = 0; i < kReads; ++i) {
        const ssize_t length = ::read(inotify, buffer.data(), buffer.size());
        if (length <= 0) break;
        for (ssize_t at = 0; at < length;) {
            inotify_event event;
            std::memcpy(&event, buffer.data() + at, sizeof(event));
            at += static_cast<ssize_t>(sizeof(event) + event.len);
            if ((event.mask & IN_Q_OVERFLOW) != 0) lost = true;
            watches.insert(event.wd);
        }
    }
    return lost;
}

constexpr char kGone[] = "it was deleted or renamed";
constexpr char kReplaced[] = "it was replaced by another file";
constexpr char kResized[] = "its size changed from ";

}  // namespace

const char* reasonOf(std::string_view change) {
    return change == kGone                ? "gone"
           : change == kReplaced          ? "replaced"
           : change.starts_with(kResized) ? "resized"
                                          : "other";
}

std::optional<std::string> findChange(const FileExpectation& expected) {
    struct stat status;
    if (::stat(expected.path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return kGone;
        return std::string("it can be looked at no more: ") + std::strerror(errno);
    }
    if (FileIdentity{false, status.st_dev, status.st_ino} != expected.identity) {
        return kReplaced;
    }
    const auto size = static_cast<uint64_t>(status.st_size);
    if (size < expected.size || (expected.exactSize && size != expected.size)) {
        return kResized + std::to_string(expected.size) + " to " + std::to_string(size) + " bytes";
    }
    return std::nullopt;
}

FileWatcher::FileWatcher(Changed changed) : changed_(std::move(changed)) {}

void FileWatcher::stop() {
    if (!thread_.joinable()) return;
    ::eventfd_write(stopSignal_.get(), 1);
    thread_.join();
}

// With mutex_ held. Only a target with files has the thread.
Result<> FileWatcher::start() {
    if (thread_.joinable()) return {};
    UniqueFd inotify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!inotify.valid()) return watchError(errno, "cannot watch files for changes");
    UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
    if (!stop.valid()) return watchError(errno, "cannot watch files for changes");
    inotify_ = std::move(inotify);
    stopSignal_ = std::move(stop);
    auto started = startThread("nvmeof-files", [this] { run(); });
    if (!started.ok()) return started.error();
    thread_ = started.take();
    return {};
}

Result<> FileWatcher::watch(uint32_t nsid, int fd, const FileExpectation& expected) {
    std::lock_guard guard(mutex_);
    if (auto started = start(); !started.ok()) return started;
    // By descriptor: the very file, whatever has its name now.
    const int watch = ::inotify_add_watch(inotify_.get(), procPath(fd).c_str(), kEvents);
    if (watch < 0) return watchError(errno, "cannot watch " + inQuotes(expected.path));
    files_[nsid] = {watch, expected};
    return {};
}

void FileWatcher::forget(uint32_t nsid) {
    std::lock_guard guard(mutex_);
    const auto found = files_.find(nsid);
    if (found == files_.end()) return;
    ::inotify_rm_watch(inotify_.get(), found->second.watch);
    files_.erase(found);
}

void FileWatcher::run() {
    std::array<pollfd, 2> wait{{{stopSignal_.get(), POLLIN, 0}, {inotify_.get(), POLLIN, 0}}};
    while (true) {
        if (::poll(wait.data(), wait.size(), -1) < 0) continue;  // EINTR
        if (wait[0].revents != 0) return;
        std::set<int> watches;
        if (takeEvents(wait[1].fd, watches)) {
            look([](const Watched&) { return true; });
        } else {
            look([&](const Watched& file) { return watches.contains(file.watch); });
        }
        // Who is quiet is heard at once; who is not, in intervals.
        if (::poll(wait.data(), 1, kPauseMilliseconds) > 0) return;
    }
}

void FileWatcher::look(const std::function<bool(const Watched&)>& concerned) {
    std::vector<std::pair<uint32_t, FileExpectation>> files;
    {
        std::lock_guard guard(mutex_);
        for (const auto& [nsid, file] : files_) {
            if (concerned(file)) files.emplace_back(nsid, file.expected);
        }
    }
    for (const auto& [nsid, expected] : files) {
        if (const auto change = findChange(expected)) {
            forget(nsid);
            changed_(nsid, *change);
        }
    }
}

}  // namespace mooncake::nvmeof_generic
