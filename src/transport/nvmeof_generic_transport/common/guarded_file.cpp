// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/guarded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

Result<Secret> readGuardedFile(const std::string& path, FileGuard guard, size_t limit,
                               PathCheck check) {
    const bool secret = guard == FileGuard::kSecret;
    const std::string what = "cannot use file " + inQuotes(path);
    const auto found = openPath(path, check, secret ? LastLink::kRefuse : LastLink::kFollow, what);
    if (!found.ok()) return found.error();
    // Not to hang on a fifo, and no terminal to become ours.
    constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    const UniqueFd file(::open(procPath(found.value().get()).c_str(), kFlags));
    if (!file.valid()) return makeError(errno, what);
    struct stat status;
    if (::fstat(file.get(), &status) != 0) return makeError(errno, what);
    if (!S_ISREG(status.st_mode)) return makeError(EINVAL, what, "it must be a regular file");
    if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
        return makeError(EACCES, what,
                         "it belongs to user " + std::to_string(status.st_uid) +
                             ", who could change it: chown it to root or to the user of this "
                             "process");
    }
    const mode_t forbidden = secret ? S_IRWXG | S_IRWXO : S_IWGRP | S_IWOTH;
    if ((status.st_mode & forbidden) != 0) {
        return makeError(EACCES, what,
                         secret ? "it holds a key and its group or others may use it: chmod 600"
                                : "its group or others may write to it: chmod go-w");
    }
    // One byte more shows that it is too long, also where it grows meanwhile.
    Secret content(limit + 1);
    size_t length = 0;
    while (length <= limit) {
        const ssize_t count = ::read(file.get(), content.data() + length, limit + 1 - length);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return makeError(errno, what);
        if (count == 0) return Secret(content.view().substr(0, length));
        length += static_cast<size_t>(count);
    }
    return makeError(EFBIG, what, "it may have " + std::to_string(limit) + " bytes at most");
}

}  // namespace mooncake::nvmeof_generic
