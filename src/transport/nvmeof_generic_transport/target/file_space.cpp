// SPDX-License-Identifier: Apache-2.0
#include "file_space.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

struct Range {
    uint64_t begin, end;  // bytes
};

// The ranges below `length` without blocks. SEEK_HOLE would not do: it also finds space that was
// reserved, but not written yet. @return false when the file system cannot tell
bool findHoles(int fd, uint64_t length, std::vector<Range>& holes) {
    constexpr uint32_t kExtents = 256;
    std::vector<std::byte> memory(sizeof(fiemap) + kExtents * sizeof(fiemap_extent));
    auto* map = reinterpret_cast<fiemap*>(memory.data());
    uint64_t position = 0;
    while (position < length) {
        std::memset(map, 0, sizeof(fiemap));
        map->fm_start = position;
        map->fm_length = length - position;
        map->fm_extent_count = kExtents;
        if (::ioctl(fd, FS_IOC_FIEMAP, map) != 0) return false;
        if (map->fm_mapped_extents == 0) break;
        for (uint32_t i = 0; i < map->fm_mapped_extents; ++i) {
            const fiemap_extent& extent = map->fm_extents[i];
            if (extent.fe_logical > position) {
                holes.push_back({position, std::min<uint64_t>(extent.fe_logical, length)});
            }
            position = std::max<uint64_t>(position, extent.fe_logical + extent.fe_length);
            if (position >= length) return true;
        }
    }
    if (position < length) holes.push_back({position, length});
    return true;
}

// Gives back what a failed reservation took. A range in which somebody has put data meanwhile is
// left alone.
void reopenHoles(int fd, const std::vector<Range>& holes, const std::string& name) {
    for (const Range& hole : holes) {
        const off_t data = ::lseek(fd, static_cast<off_t>(hole.begin), SEEK_DATA);
        if (data >= 0 ? static_cast<uint64_t>(data) < hole.end : errno != ENXIO) continue;
        if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(hole.begin),
                        static_cast<off_t>(hole.end - hole.begin)) != 0) {
            PLOG(WARNING) << "Cannot give back space reserved for " << name;
            return;
        }
    }
}

int reserve(int fd, uint64_t length) {
    int result;
    do {
        result = ::fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(length));
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

}  // namespace

Result<> reserveSpace(int fd, uint64_t length, const std::string& name) {
    struct stat status;
    struct statfs fileSystem;
    if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &fileSystem) != 0) {
        return makeError(errno, "cannot find out the disk space of " + name);
    }
    const uint64_t allocated = static_cast<uint64_t>(status.st_blocks) * 512;
    const std::string what = "cannot reserve disk space for the holes of " + name;

    std::vector<Range> holes;
    const bool canUndo = findHoles(fd, length, holes);
    uint64_t missing = length - std::min(length, allocated);
    if (canUndo) {
        missing = 0;
        for (const Range& hole : holes) missing += hole.end - hole.begin;
    }
    // Spares a nearly full disk the attempt, during which it would be quite full.
    if (missing / static_cast<uint64_t>(fileSystem.f_bsize) > fileSystem.f_bfree) {
        return makeError(ENOSPC, what, std::to_string(missing) + " bytes are needed");
    }

    const int code = reserve(fd, length);
    if (code == 0) return {};
    if (code == EOPNOTSUPP || code == ENOSYS) {
        if (missing > 0) {
            LOG(WARNING) << "The file system of " << name << " cannot reserve space for its holes: "
                         << "remote writes fail when the disk is full";
        }
        return {};
    }
    if (canUndo) reopenHoles(fd, holes, name);
    if (code == ETXTBSY) return makeError(code, "cannot export " + name, "it is a swap file");
    return makeError(code, what, missing > 0 ? std::to_string(missing) + " bytes are needed" : "");
}

}  // namespace mooncake::nvmeof_generic
