// SPDX-License-Identifier: Apache-2.0
#include "fd_block_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>

namespace mooncake::store {
namespace {

std::string text(int code) {
    return std::generic_category().message(code);
}

// Direct I/O wants memory on whole blocks, whatever the caller has.
constexpr size_t kBounceBytes = 1 << 20;

struct FreeMemory {
    void operator()(void* memory) const { std::free(memory); }
};
using Bounce = std::unique_ptr<std::byte, FreeMemory>;

Bounce makeBounce(size_t length) {
    return Bounce(
        static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, std::min(length, kBounceBytes))));
}

// The file's length, or -1.
int64_t sizeOf(int fd, const struct stat& status) {
    if (S_ISREG(status.st_mode)) return status.st_size;
    uint64_t bytes = 0;
    if (!S_ISBLK(status.st_mode) || ioctl(fd, BLKGETSIZE64, &bytes) != 0) return -1;
    return static_cast<int64_t>(bytes);
}

}  // namespace

FdBlockFile::FdBlockFile(std::string path, int fd, uint64_t size)
    : path_(std::move(path)), fd_(fd), size_(size) {}

FdBlockFile::~FdBlockFile() {
    // A child that was forked meanwhile has the descriptor as well, and with it the lock.
    (void)flock(fd_, LOCK_UN);
    ::close(fd_);
}

Result<std::unique_ptr<FdBlockFile>> FdBlockFile::open(const std::string& path) {
    // Opening a pipe or a terminal must not wait for its other end.
    constexpr int kFlags = O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    int fd = ::open(path.c_str(), kFlags | O_DIRECT);
    if (fd < 0 && errno == EINVAL) fd = ::open(path.c_str(), kFlags);
    if (fd < 0) {
        const int code = errno;
        const Failure failure = code == ENOENT || code == ENOTDIR ? Failure::kNotFound
                                : code == EACCES || code == EPERM || code == EROFS
                                    ? Failure::kRefused
                                : code == EISDIR || code == ENXIO ? Failure::kInvalid
                                                                  : Failure::kUnavailable;
        return failed(failure, path + " cannot be opened for reading and writing: " + text(code));
    }
    struct stat status {};
    const int64_t size = fstat(fd, &status) == 0 ? sizeOf(fd, status) : -1;
    if (size < 0) {
        ::close(fd);
        return failed(Failure::kInvalid,
                      path + " is neither a file nor a block device; mount one of these");
    }
    return std::unique_ptr<FdBlockFile>(new FdBlockFile(path, fd, static_cast<uint64_t>(size)));
}

bool FdBlockFile::lock(bool waits) {
    int outcome = 0;
    do {
        outcome = flock(fd_, waits ? LOCK_EX : LOCK_EX | LOCK_NB);
    } while (outcome != 0 && errno == EINTR);
    return outcome == 0;
}

Result<> FdBlockFile::check(uint64_t offset, size_t length, const char* what) const {
    if (offset % kBlockBytes != 0 || length % kBlockBytes != 0 || offset > size_ ||
        length > size_ - offset) {
        return failed(Failure::kInvalid, std::string(what) + " of " + std::to_string(length) +
                                             " bytes at " + std::to_string(offset) + " of " +
                                             path_ + ": not whole blocks within the file");
    }
    return {};
}

Error FdBlockFile::broken(const char* what, uint64_t offset, int code) const {
    return {Failure::kUnavailable, path_ + " cannot be " + what + " at " + std::to_string(offset) +
                                       ": " + (code == 0 ? "it has become shorter" : text(code))};
}

Result<> FdBlockFile::read(uint64_t offset, std::span<std::byte> into) {
    if (Result<> good = check(offset, into.size(), "read"); !good) return good;
    const Bounce bounce = makeBounce(into.size());
    if (!bounce && !into.empty()) return tl::unexpected(broken("read", offset, ENOMEM));
    while (!into.empty()) {
        const size_t length = std::min(into.size(), kBounceBytes);
        const ssize_t count = pread(fd_, bounce.get(), length, static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return tl::unexpected(broken("read", offset, count < 0 ? errno : 0));
        std::memcpy(into.data(), bounce.get(), static_cast<size_t>(count));
        into = into.subspan(static_cast<size_t>(count));
        offset += static_cast<uint64_t>(count);
    }
    return {};
}

Result<> FdBlockFile::write(uint64_t offset, std::span<const std::byte> from) {
    if (Result<> good = check(offset, from.size(), "write"); !good) return good;
    const Bounce bounce = makeBounce(from.size());
    if (!bounce && !from.empty()) return tl::unexpected(broken("written", offset, ENOMEM));
    while (!from.empty()) {
        const size_t length = std::min(from.size(), kBounceBytes);
        std::memcpy(bounce.get(), from.data(), length);
        const ssize_t count = pwrite(fd_, bounce.get(), length, static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return tl::unexpected(broken("written", offset, count < 0 ? errno : EIO));
        from = from.subspan(static_cast<size_t>(count));
        offset += static_cast<uint64_t>(count);
    }
    return {};
}

Result<> FdBlockFile::flush() {
    if (fdatasync(fd_) != 0) return tl::unexpected(broken("flushed", 0, errno));
    return {};
}

}  // namespace mooncake::store
