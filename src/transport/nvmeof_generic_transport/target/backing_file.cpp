// SPDX-License-Identifier: Apache-2.0
#include "backing_file.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "file_uuid.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

// nvmet_file_ns_enable() in drivers/nvme/target/io-cmd-file.c: blocks of a file have 4096 bytes at
// most.
constexpr uint32_t kMaxFileBlock = 4096;
constexpr uint32_t kMinBlock = 512;

const char* kindOf(mode_t mode) {
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISCHR(mode)) return "a character device";
    if (S_ISFIFO(mode)) return "a pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "something else";
}

Error openError(int code, const std::string& what) {
    switch (code) {
        case EACCES:
        case EPERM:
            return makeError(code, what, "reading and writing it must be permitted");
        case EBUSY:
            return makeError(code, what,
                             "the device is mounted, or in use by LVM, RAID, swap or another "
                             "program; 'lsblk' shows by which");
        case EMFILE:
            return makeError(code, what, "raise the limit of open files (ulimit -n)");
        default:
            return makeError(code, what);
    }
}

// The size of the blocks that a file system works in, which nvmet takes over: i_blkbits is the
// superblock's nearly everywhere.
uint32_t fileSystemBlock(int fd) {
    int size = 0;
    if (::ioctl(fd, FIGETBSZ, &size) != 0 || size < static_cast<int>(kMinBlock)) return 0;
    return std::min(static_cast<uint32_t>(size), kMaxFileBlock);
}

}  // namespace

std::string openFileName(int fd) {
    char name[PATH_MAX];
    const ssize_t length = ::readlink(procPath(fd).c_str(), name, sizeof(name));
    return length < 0 ? "" : std::string(name, static_cast<size_t>(length));
}

Result<BackingFile> BackingFile::open(const std::string& path, const Rules& rules) {
    if (path.empty() || path.find('\0') != std::string::npos) {
        return makeError(EINVAL, "cannot export a file with the name " + inQuotes(path));
    }
    const std::string what = "cannot open " + inQuotes(path);
    // O_PATH first: to open a tape or a watchdog for real is to do something to it.
    auto way = openPath(path, rules.pathCheck, LastLink::kFollow, what);
    if (!way.ok()) return way.error();
    const UniqueFd found = way.take();
    struct stat status;
    if (::fstat(found.get(), &status) != 0) return openError(errno, what);
    const bool blockDevice = S_ISBLK(status.st_mode);
    if (!blockDevice && !S_ISREG(status.st_mode)) {
        return makeError(EINVAL,
                         "cannot export " + inQuotes(path) + ", which is " + kindOf(status.st_mode),
                         "only regular files and block devices can be exported");
    }

    BackingFile file;
    file.path_ = path;
    file.kernelName_ = openFileName(found.get());
    file.identity_ = blockDevice ? FileIdentity{true, status.st_rdev, 0}
                                 : FileIdentity{false, status.st_dev, status.st_ino};
    const std::string same = procPath(found.get());
    const int flags = (rules.readOnly ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_CLOEXEC;
    file.fd_ =
        ProcessFd::open([&] { return ::open(same.c_str(), flags | (blockDevice ? O_EXCL : 0)); });
    if (!file.fd_.valid() && errno == EBUSY && rules.allowBusy) {
        LOG(WARNING) << "Exporting " << inQuotes(path) << " although it is in use";
        file.fd_ = ProcessFd::open([&] { return ::open(same.c_str(), flags); });
    }
    if (!file.fd_.valid()) return openError(errno, what);
    if (auto judged = file.judge(rules.readOnly); !judged.ok()) return judged.error();
    return file;
}

// What the descriptor says about size and blocks.
Result<> BackingFile::judge(bool readOnly) {
    const std::string what = "cannot open " + inQuotes(path_);
    if (identity_.blockDevice) {
        int block = 0;
        if (::ioctl(fd(), BLKGETSIZE64, &geometry_.size) != 0 ||
            ::ioctl(fd(), BLKSSZGET, &block) != 0) {
            return makeError(errno, "cannot find out the size of " + inQuotes(path_));
        }
        geometry_.blockSize = geometry_.nvmetBlockSize = static_cast<uint32_t>(block);
        int locked = 0;
        if (!readOnly && ::ioctl(fd(), BLKROGET, &locked) == 0 && locked != 0) {
            return makeError(EROFS, "cannot export " + inQuotes(path_), "export it read-only");
        }
        uuid_ = blockDeviceUuid(static_cast<dev_t>(identity_.device));
        return {};
    }
    struct stat status;
    if (::fstat(fd(), &status) != 0) return openError(errno, what);
    uuid_ = regularFileUuid(fd(), status, kernelName_);
    const uint32_t fileBlock = fileSystemBlock(fd());
    const auto preferred = static_cast<uint32_t>(
        std::clamp<uint64_t>(static_cast<uint64_t>(status.st_blksize), kMinBlock, kMaxFileBlock));
    geometry_.size = static_cast<uint64_t>(status.st_size);
    // Where the two differ (XFS with small blocks, FUSE), nvmet's is one of them.
    geometry_.blockSize = std::max(fileBlock, std::bit_floor(preferred));
    geometry_.nvmetBlockSize = std::min(fileBlock, std::bit_floor(preferred));

    UniqueFd direct(
        ::open(procPath(fd()).c_str(), (readOnly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC));
    if (!direct.valid() && errno != EINVAL) return openError(errno, what);
    directIo_ = direct.valid();
    return {};
}

bool BackingFile::deviceSizeUnchanged() const {
    uint64_t size = 0;
    return ::ioctl(fd(), BLKGETSIZE64, &size) == 0 && size == geometry_.size;
}

}  // namespace mooncake::nvmeof_generic
