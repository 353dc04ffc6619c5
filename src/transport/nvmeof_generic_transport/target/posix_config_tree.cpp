// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"
#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic {
namespace {

// The largest attribute of configfs (SIMPLE_ATTR_SIZE in fs/configfs/file.c).
constexpr size_t kMaxAttributeBytes = 4096;

int codeOf(int result) {
    return result < 0 ? errno : 0;
}

int lockWithoutWaiting(int fd, ConfigTree::LockMode mode) {
    const int operation = mode == ConfigTree::LockMode::kShared ? LOCK_SH : LOCK_EX;
    return codeOf(::flock(fd, operation | LOCK_NB));
}

// A write lease is granted on a file that nobody else has open (fcntl(2)). Where the file system
// has no leases nothing is known, and nothing found. Who opens the file while we have the lease
// makes the kernel send a signal, here one that does nothing by itself, instead of SIGIO, which
// would end this process.
bool isOpenElsewhere(int fd) {
    if (::fcntl(fd, F_SETSIG, SIGURG) != 0) return false;
    if (::fcntl(fd, F_SETLEASE, F_WRLCK) != 0) return errno == EAGAIN;
    ::fcntl(fd, F_SETLEASE, F_UNLCK);
    return false;
}

class PosixConfigTree final : public ConfigTree {
 public:
    int makeDir(const std::string& path) override { return codeOf(::mkdir(path.c_str(), 0755)); }
    int removeDir(const std::string& path) override { return codeOf(::rmdir(path.c_str())); }

    int writeFile(const std::string& path, std::string_view value) override {
        UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!file.valid()) return errno;
        const ssize_t written = ::write(file.get(), value.data(), value.size());
        if (written < 0) return errno;
        // configfs takes a value whole or not at all.
        return static_cast<size_t>(written) == value.size() ? 0 : EIO;
    }

    int hide(const std::string& path) override {
        if (::chmod(path.c_str(), S_IRUSR | S_IWUSR) != 0) return errno;
        UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file.valid()) return errno;
        return isOpenElsewhere(file.get()) ? EBUSY : 0;
    }
    int readFile(const std::string& path, std::string& value) override {
        UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (!file.valid()) return errno;
        value.resize(kMaxAttributeBytes);
        const ssize_t length = ::read(file.get(), value.data(), value.size());
        if (length < 0) return errno;
        value.resize(static_cast<size_t>(length));
        if (!value.empty() && value.back() == '\n') value.pop_back();
        return 0;
    }

    int link(const std::string& target, const std::string& path) override {
        return codeOf(::symlink(target.c_str(), path.c_str()));
    }
    int unlink(const std::string& path) override { return codeOf(::unlink(path.c_str())); }

    int list(const std::string& path, std::vector<std::string>& names) override {
        names.clear();
        DIR* dir = ::opendir(path.c_str());
        if (dir == nullptr) return errno;
        int code = 0;
        while (true) {
            errno = 0;
            const dirent* entry = ::readdir(dir);
            if (entry == nullptr) {
                code = errno;
                break;
            }
            const std::string_view name = entry->d_name;
            if (name != "." && name != "..") names.emplace_back(name);
        }
        ::closedir(dir);
        std::sort(names.begin(), names.end());
        return code;
    }

    int exists(const std::string& path) override {
        struct stat status;
        return codeOf(::lstat(path.c_str(), &status));
    }

    int keepPrivate(const std::string& path) override {
        return codeOf(::chmod(path.c_str(), S_IRWXU));
    }

    int tryLock(const std::string& path, LockMode mode, ProcessFd& lock) override {
        if (lock.valid()) return lockWithoutWaiting(lock.get(), mode);
        // The way to the folder may be held up by the kernel; what a fork waits for is not.
        const UniqueFd found(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!found.valid()) return errno;
        auto dir = ProcessFd::open(
            [&] { return ::openat(found.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
        if (!dir.valid()) return errno;
        if (const int code = lockWithoutWaiting(dir.get(), mode); code != 0) return code;
        // Whoever held it may have removed it.
        struct stat locked, there;
        if (::fstat(dir.get(), &locked) != 0 || ::stat(path.c_str(), &there) != 0) return errno;
        if (locked.st_dev != there.st_dev || locked.st_ino != there.st_ino) return ENOENT;
        lock = std::move(dir);
        return 0;
    }

    int tryEnter(const std::string& path, ProcessFd& lock) override {
        if (const int code = makeDir(path); code != 0 && code != EEXIST) return code;
        const int code = tryLock(path, LockMode::kExclusive, lock);
        return code == ENOENT ? EWOULDBLOCK : code;
    }
    int leave(const std::string& path, ProcessFd& lock) override {
        const int code = removeDir(path);
        lock.reset();
        return code;
    }
};

}  // namespace

std::shared_ptr<ConfigTree> makePosixConfigTree() {
    return std::make_shared<PosixConfigTree>();
}

}  // namespace mooncake::nvmeof_generic
