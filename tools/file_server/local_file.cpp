// SPDX-License-Identifier: Apache-2.0
#include "local_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cerrno>

#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;

using nvmeof_generic::makeError;

Result<uint64_t> physicalSize(const std::string& path) {
    const std::string what = "cannot serve " + inQuotes(path);
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) return makeError(errno, what);
    uint64_t size = static_cast<uint64_t>(info.st_size);
    if (S_ISBLK(info.st_mode)) {
        const nvmeof_generic::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
        if (fd.get() < 0 || ::ioctl(fd.get(), BLKGETSIZE64, &size) != 0) {
            return makeError(errno, what);
        }
    } else if (!S_ISREG(info.st_mode)) {
        return makeError(EINVAL, what, "only regular files and block devices can be exported");
    }
    if (size == 0) {
        return makeError(EINVAL, what,
                         "it is empty; give it a size first: fallocate -l 1G " + inQuotes(path));
    }
    return size;
}

Result<> checkMounted(const std::string& folder) {
    const std::string what = "nothing is mounted at " + inQuotes(folder);
    struct statx info = {};
    // An automounter mounts what belongs there.
    if (::statx(AT_FDCWD, folder.c_str(), 0, STATX_BASIC_STATS, &info) != 0) {
        return makeError(errno, what);
    }
    if ((info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0) {
        return makeError(EOPNOTSUPP, what, "this kernel cannot tell: it takes Linux 5.8");
    }
    if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) {
        return makeError(ENODEV, what, "mount it, or change the file's setting mount");
    }
    return {};
}

}  // namespace mooncake::file_server
