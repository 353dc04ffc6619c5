// SPDX-License-Identifier: Apache-2.0
#include "run_folder.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr mode_t kOwnerOnly = 0600;

UniqueFd openRunFolder(const std::string& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return {};
    UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!folder.valid() || fstat(folder.get(), &status) != 0) return {};
    if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
        errno = EACCES;
        return {};
    }
    return folder;
}

}  // namespace

RunFolder::RunFolder(const std::string& runRoot) {
    const std::string path = runRoot + "/nvmeof_generic";
    folder_ = openRunFolder(path);
    if (folder_.valid()) return;
    const int code = errno;
    LOG_FIRST_N(WARNING, 1) << "cannot use " << path << " (" << strerrordesc_np(code)
                            << "): processes of this machine that connect do not hear from each "
                               "other which target holds the kernel up";
}

UniqueFd RunFolder::openFile(const std::string& name) const {
    if (!valid()) return {};
    constexpr int kFlags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    return UniqueFd(openat(fd(), name.c_str(), kFlags, kOwnerOnly));
}

std::string RunFolder::read(const std::string& name, size_t limit) const {
    if (!valid()) return {};
    const UniqueFd file(openat(fd(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (!file.valid() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    std::string content(limit + 1, '\0');
    const ssize_t length = pread(file.get(), content.data(), content.size(), 0);
    if (length < 0 || static_cast<size_t>(length) > limit) return {};
    content.resize(static_cast<size_t>(length));
    return content;
}

bool RunFolder::replace(const std::string& name, const std::string& content) const {
    if (!valid()) return false;
    // One name for all: who was killed in the middle leaves no more than this behind. Callers hold
    // the folder's lock.
    const std::string making = name + ".new";
    unlinkat(fd(), making.c_str(), 0);
    {
        constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        const UniqueFd file(openat(fd(), making.c_str(), kFlags, kOwnerOnly));
        if (!file.valid()) return false;
        const auto length = static_cast<ssize_t>(content.size());
        if (write(file.get(), content.data(), content.size()) != length) {
            unlinkat(fd(), making.c_str(), 0);
            return false;
        }
    }
    return renameat(fd(), making.c_str(), fd(), name.c_str()) == 0;
}

std::chrono::milliseconds sinceBoot() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::milliseconds(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

std::string bootId() {
    auto id = readAttribute(AT_FDCWD, "/proc/sys/kernel/random/boot_id");
    return id.ok() ? id.take() : std::string();
}

}  // namespace mooncake::nvmeof_generic
