// SPDX-License-Identifier: Apache-2.0
#include "bench/local_files.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace mooncake::bench {
namespace {

Failure cannotUse(const std::string& path, const std::string& why) {
    return {ExitCode::kUsage, "--files: cannot use '" + path + "': " + why};
}

// A block device's stat has no size.
MaybeFailure blockDeviceSize(const std::string& path, uint64_t& size) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return cannotUse(path, std::strerror(errno));
    const int rc = ioctl(fd, BLKGETSIZE64, &size);
    const int error = errno;
    close(fd);
    if (rc != 0) {
        return cannotUse(path, std::string("its size is unknown: ") + std::strerror(error));
    }
    return std::nullopt;
}

MaybeFailure inspectFile(const std::string& path, LocalFile& file) {
    struct stat info = {};
    if (stat(path.c_str(), &info) != 0) return cannotUse(path, std::strerror(errno));
    file.path = path;
    if (S_ISREG(info.st_mode)) {
        file.size = static_cast<uint64_t>(info.st_size);
    } else if (S_ISBLK(info.st_mode)) {
        if (MaybeFailure failure = blockDeviceSize(path, file.size)) return failure;
    } else {
        return cannotUse(path, "it is neither a regular file nor a block device");
    }
    if (file.size == 0) {
        return cannotUse(path,
                         "it is empty; give it a size first (fallocate -l 1G '" + path + "')");
    }
    return std::nullopt;
}

}  // namespace

MaybeFailure inspectFiles(const std::vector<std::string>& paths, std::vector<LocalFile>& files) {
    files.clear();
    for (const std::string& path : paths) {
        LocalFile file;
        if (MaybeFailure failure = inspectFile(path, file)) return failure;
        files.push_back(file);
    }
    return std::nullopt;
}

}  // namespace mooncake::bench
