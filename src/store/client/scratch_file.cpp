// SPDX-License-Identifier: Apache-2.0
#include "scratch_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace mooncake::store {
namespace {

constexpr char kPrefix[] = "mooncake-scratch-";

// Whoever uses one holds its lock.
void removeAbandoned(const std::string& folder) {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
        if (!file.path().filename().string().starts_with(kPrefix)) continue;
        const int fd = ::open(file.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) continue;
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(file.path().c_str());
        ::close(fd);
    }
}

// Empty. @return its path, or an error of the system
Result<std::string> makeFile(const std::string& folder, uint64_t size) {
    std::string path = (std::filesystem::path(folder) / kPrefix).string() + "XXXXXX";
    const int fd = mkostemp(path.data(), O_CLOEXEC);
    if (fd < 0) {
        return failed(Failure::kInvalid, "no file can be made in '" + folder +
                                             "': " + std::strerror(errno) +
                                             "; name a folder that can be written to");
    }
    const int error = ftruncate(fd, static_cast<off_t>(size)) == 0 ? 0 : errno;
    ::close(fd);
    if (error == 0) return path;
    ::unlink(path.c_str());
    return failed(Failure::kInvalid, "no file of " + std::to_string(size) +
                                         " bytes can be made in '" + folder +
                                         "': " + std::strerror(error));
}

bool isRemoved(int fd) {
    struct stat status {};
    return fstat(fd, &status) == 0 && status.st_nlink == 0;
}

}  // namespace

Result<ScratchFile> makeScratchFile(const std::string& folder, uint64_t size) {
    removeAbandoned(folder);
    for (;;) {
        auto path = makeFile(folder, size);
        if (!path) return tl::unexpected(path.error());
        auto file = FdBlockFile::open(*path);
        // Without its lock it was nobody's, and somebody may have removed it.
        if (!file && file.error().failure == Failure::kNotFound) continue;
        if (file && (*file)->lock(true)) {
            if (isRemoved((*file)->fd())) continue;
            return ScratchFile{std::move(*path), std::move(*file)};
        }
        ::unlink(path->c_str());
        if (!file) return tl::unexpected(file.error());
        return failed(Failure::kUnavailable, *path + " cannot be locked: " + std::strerror(errno));
    }
}

}  // namespace mooncake::store
