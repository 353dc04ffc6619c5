// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/open_path.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr int kMaxLinks = 40;  // the kernel's own limit
constexpr int kFlags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
constexpr char kSwitch[] =
    "; where all users of this machine are trusted, MC_NVMEOF_GENERIC_PATH_CHECK=off, or "
    "path_check "
    "= no in the file server's configuration, switches this check off";

Error openError(int code, const std::string& what, bool throughLink) {
    if (code == ENOENT && throughLink) {
        return makeError(code, what, "it is a symbolic link that leads nowhere");
    }
    if (code == EMFILE) return makeError(code, what, "raise the limit of open files (ulimit -n)");
    return makeError(code, what);
}

std::string modeText(mode_t mode) {
    char text[16];
    std::snprintf(text, sizeof(text), "%04o", static_cast<unsigned>(mode & 07777));
    return text;
}

// The way along a path, a folder at a time.
class Walk {
 public:
    Walk(std::string path, LastLink lastLink, const std::string& what)
        : rest_(std::move(path)), lastLink_(lastLink), what_(what) {}

    Result<UniqueFd> go();

 private:
    Result<> enter(UniqueFd folder, const std::string& name);
    Result<> follow(int link);
    std::string takePart();
    bool atEnd() const { return rest_.find_first_not_of('/') == std::string::npos; }
    Error error(int code) const { return openError(code, what_, links_ != 0); }
    std::string nameOf(const std::string& part) const {
        return (name_ == "/" ? "" : name_) + "/" + part;
    }

    std::string rest_;  // what is still to go
    const LastLink lastLink_;
    const std::string& what_;
    UniqueFd folder_;
    std::string name_;     // of the folder, for errors
    bool shared_ = false;  // a sticky folder, in which anybody may make something
    int links_ = 0;
};

std::string Walk::takePart() {
    rest_.erase(0, std::min(rest_.find_first_not_of('/'), rest_.size()));
    const size_t end = std::min(rest_.find('/'), rest_.size());
    std::string part = rest_.substr(0, end);
    rest_.erase(0, end);
    return part;
}

// The next folder, if it is one that can be trusted.
Result<> Walk::enter(UniqueFd folder, const std::string& name) {
    struct stat status;
    if (::fstat(folder.get(), &status) != 0) return error(errno);
    const std::string is = "folder " + inQuotes(name) + " belongs to user " +
                           std::to_string(status.st_uid) + " and has mode " +
                           modeText(status.st_mode);
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
        return makeError(EACCES, what_,
                         is +
                             ", so that this user could put another file in its place: chown it "
                             "to root or to the user of this process" +
                             kSwitch);
    }
    const bool writable = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (writable && (status.st_mode & S_ISVTX) == 0) {
        return makeError(EACCES, what_,
                         is +
                             ", so that its group or others could put another file in its place: "
                             "chmod go-w" +
                             kSwitch);
    }
    folder_ = std::move(folder);
    name_ = name;
    shared_ = writable;
    return {};
}

Result<> Walk::follow(int link) {
    struct statfs system;
    if (::fstatfs(link, &system) != 0) return error(errno);
    char target[PATH_MAX];
    const ssize_t length = ::readlinkat(link, "", target, sizeof(target));
    if (length < 0) return error(errno);
    if (++links_ > kMaxLinks) return error(ELOOP);
    const std::string text(target, static_cast<size_t>(length));
    if (system.f_type == PROC_SUPER_MAGIC && text.starts_with('/')) {
        return makeError(
            ELOOP, what_,
            "procfs' links to what a process has open are not followed: give the path");
    }
    rest_ = text + rest_;
    if (!text.starts_with('/')) return {};
    UniqueFd root(::open("/", kFlags | O_DIRECTORY));
    if (!root.valid()) return error(errno);
    return enter(std::move(root), "/");
}

Result<UniqueFd> Walk::go() {
    UniqueFd root(::open("/", kFlags | O_DIRECTORY));
    if (!root.valid()) return error(errno);
    if (auto entered = enter(std::move(root), "/"); !entered.ok()) return entered.error();
    while (!atEnd()) {
        const std::string part = takePart();
        const bool folderWanted = !rest_.empty();
        // O_DIRECTORY, where it is one, also has an automounter mount what belongs there.
        UniqueFd next(
            ::openat(folder_.get(), part.c_str(), kFlags | (folderWanted ? O_DIRECTORY : 0)));
        if (!next.valid() && folderWanted && (errno == ENOTDIR || errno == ELOOP)) {
            next = UniqueFd(::openat(folder_.get(), part.c_str(), kFlags));
        }
        struct stat status;
        if (!next.valid() || ::fstat(next.get(), &status) != 0) return error(errno);
        if (S_ISDIR(status.st_mode)) {
            if (auto entered = enter(std::move(next), nameOf(part)); !entered.ok()) {
                return entered.error();
            }
            continue;
        }
        if (shared_) {
            return makeError(
                EACCES, what_,
                inQuotes(nameOf(part)) +
                    " lies in a folder of mode 1777 or the like, "
                    "where anybody could have put it: move it into a folder of its own" +
                    kSwitch);
        }
        if (S_ISLNK(status.st_mode)) {
            if (lastLink_ == LastLink::kRefuse && atEnd()) {
                return makeError(ELOOP, what_, "give the file itself, not a link");
            }
            if (auto followed = follow(next.get()); !followed.ok()) return followed.error();
            continue;
        }
        if (folderWanted) return error(ENOTDIR);
        return next;
    }
    return std::move(folder_);
}

Result<UniqueFd> openUnchecked(const std::string& path, LastLink lastLink,
                               const std::string& what) {
    const int last = lastLink == LastLink::kRefuse ? O_NOFOLLOW : 0;
    UniqueFd found(::open(path.c_str(), O_PATH | O_CLOEXEC | last));
    const int code = found.valid() ? 0 : errno;
    struct stat status;
    if (code != 0) {
        const bool link = ::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
        return openError(code, what, link);
    }
    if (::fstat(found.get(), &status) != 0) return openError(errno, what, false);
    if (S_ISLNK(status.st_mode)) {
        return makeError(ELOOP, what, "give the file itself, not a link");
    }
    return found;
}

}  // namespace

Result<UniqueFd> openPath(const std::string& path, PathCheck check, LastLink lastLink,
                          const std::string& what) {
    if (check == PathCheck::kOff) return openUnchecked(path, lastLink, what);
    if (path.empty()) return makeError(ENOENT, what);
    std::string whole = path;
    if (path[0] != '/') {
        char here[PATH_MAX];
        if (::getcwd(here, sizeof(here)) == nullptr) return makeError(errno, what);
        // The kernel's "(unreachable)" and the like.
        if (here[0] != '/') return makeError(ENOENT, what, "give its absolute path");
        whole = std::string(here) + "/" + path;
    }
    return Walk(std::move(whole), lastLink, what).go();
}

std::string procPath(int fd) {
    return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace mooncake::nvmeof_generic
