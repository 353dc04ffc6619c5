// SPDX-License-Identifier: Apache-2.0
#include "scratch_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace mooncake::store {
namespace {

constexpr char kPrefix[] = "mooncake-scratch-";

// Whoever has made one mounts it within this time.
constexpr time_t kNewSeconds = 60;

bool isNew(int fd) {
    struct stat status {};
    return fstat(fd, &status) == 0 && time(nullptr) < status.st_mtime + kNewSeconds;
}

// Whoever uses one holds its lock, but for the moment between its making and its mount.
void removeAbandoned(const std::string& folder) {
    std::error_code ignored;
    for (const auto& file : std::filesystem::directory_iterator(folder, ignored)) {
        if (!file.path().filename().string().starts_with(kPrefix)) continue;
        const int fd = ::open(file.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0) continue;
        if (!isNew(fd) && flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(file.path().c_str());
        ::close(fd);
    }
}

}  // namespace

Result<std::string> makeScratchFile(const std::string& folder, uint64_t size) {
    removeAbandoned(folder);
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

}  // namespace mooncake::store
