// SPDX-License-Identifier: Apache-2.0
#include "file_space.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

#include "bounded_thread.h"
#include "transport/nvmeof_generic_transport/common/signals_blocked.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

struct Range {
    uint64_t begin, end;  // bytes
};

// Where a write would take disk space.
struct Needy {
    std::vector<Range> holes;   // nothing is there
    std::vector<Range> shared;  // other files (cp --reflink, snapshots) have the same blocks
};

uint64_t bytesOf(const std::vector<Range>& ranges) {
    uint64_t bytes = 0;
    for (const Range& range : ranges) bytes += range.end - range.begin;
    return bytes;
}

// What of the first `length` bytes has no blocks of its own. SEEK_HOLE would not do: it also finds
// space that was reserved, but not written yet. @return false when the file system cannot tell
bool findNeedy(int fd, uint64_t length, Needy& needy) {
    constexpr uint32_t kExtents = 256;
    std::vector<std::byte> memory(sizeof(fiemap) + kExtents * sizeof(fiemap_extent));
    auto* map = reinterpret_cast<fiemap*>(memory.data());
    uint64_t position = 0;
    while (position < length) {
        std::memset(map, 0, sizeof(fiemap));
        map->fm_start = position;
        map->fm_length = length - position;
        map->fm_flags = FIEMAP_FLAG_SYNC;
        map->fm_extent_count = kExtents;
        if (::ioctl(fd, FS_IOC_FIEMAP, map) != 0) return false;
        if (map->fm_mapped_extents == 0) break;
        for (uint32_t i = 0; i < map->fm_mapped_extents && position < length; ++i) {
            const fiemap_extent& extent = map->fm_extents[i];
            const uint64_t begin = std::min<uint64_t>(extent.fe_logical, length);
            const uint64_t end = std::min<uint64_t>(extent.fe_logical + extent.fe_length, length);
            if (begin > position) needy.holes.push_back({position, begin});
            if ((extent.fe_flags & FIEMAP_EXTENT_SHARED) != 0 && end > std::max(begin, position)) {
                needy.shared.push_back({std::max(begin, position), end});
            }
            position = std::max(position, end);
        }
    }
    if (position < length) needy.holes.push_back({position, length});
    return true;
}

// File systems that write to another place than where the data is, so that reserved space helps
// only a file's first write.
bool copiesOnWrite(int fd, const struct statfs& fileSystem) {
    constexpr auto kZfs = 0x2fc12fc1, kBcachefs = static_cast<int>(0xca451a4e);
    const auto type = static_cast<int>(fileSystem.f_type);
    if (type == kZfs || type == kBcachefs) return true;
    if (type != static_cast<int>(BTRFS_SUPER_MAGIC)) return false;
    int flags = 0;
    return ::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_NOCOW_FL) == 0;
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

// One call may take long, and when a signal comes it takes back what it has done (tmpfs): a program
// with a fast timer would never see its end. So it is done in steps, without signals.
int allocate(int fd, int mode, const Range& range, const std::function<void()>& step) {
    constexpr uint64_t kStep = 64 << 20;
    for (uint64_t at = range.begin; at < range.end; at += kStep) {
        const auto length = static_cast<off_t>(std::min(kStep, range.end - at));
        const SignalsBlocked blocked;
        int result;
        do {
            result = ::fallocate(fd, mode, static_cast<off_t>(at), length);
        } while (result != 0 && errno == EINTR);
        if (result != 0) return errno;
        step();
    }
    return 0;
}

int allocateAll(int fd, int mode, const std::vector<Range>& ranges,
                const std::function<void()>& step) {
    for (const Range& range : ranges) {
        if (const int code = allocate(fd, mode, range, step); code != 0) return code;
    }
    return 0;
}

constexpr char kFailWhenFull[] = ": remote writes fail when the disk is full";

Error cannotFill(int code, const std::string& name, const std::string& needed) {
    return makeError(code, "cannot reserve disk space for the holes of " + name, needed);
}

std::string neededText(uint64_t bytes) {
    return bytes > 0 ? std::to_string(bytes) + " bytes are needed" : "";
}

struct Missing {
    uint64_t bytes;
    Needy needy;
    bool known;  // whether the file system tells; if not, all may be
};

// What is to be reserved; an error where the disk has not as much.
Result<Missing> findMissing(int fd, uint64_t length, const std::string& name, uint64_t promised) {
    struct stat status;
    struct statfs fileSystem;
    if (::fstat(fd, &status) != 0 || ::fstatfs(fd, &fileSystem) != 0) {
        return makeError(errno, "cannot find out the disk space of " + name);
    }
    Missing missing{};
    missing.known = findNeedy(fd, length, missing.needy);
    if (missing.known) {
        missing.bytes = bytesOf(missing.needy.holes) + bytesOf(missing.needy.shared);
    } else {
        // Where all of it is there, nothing changes.
        missing.needy = {{{0, length}}, {}};
        const uint64_t allocated = static_cast<uint64_t>(status.st_blocks) * 512;
        missing.bytes = length - std::min(length, allocated);
    }
    // Spares a nearly full disk the attempt, during which it would be quite full.
    const auto block = static_cast<uint64_t>(fileSystem.f_bsize);
    if (missing.bytes != 0 && (missing.bytes + promised) / block > fileSystem.f_bfree) {
        return cannotFill(ENOSPC, name, neededText(missing.bytes));
    }
    return missing;
}

}  // namespace

Result<uint64_t> checkSpace(int fd, uint64_t length, const std::string& name, uint64_t promised) {
    const auto missing = findMissing(fd, length, name, promised);
    if (!missing.ok()) return missing.error();
    return missing.value().bytes;
}

Result<> reserveSpace(int fd, uint64_t length, const std::string& name,
                      const std::function<void()>& step) {
    struct statfs fileSystem;
    if (::fstatfs(fd, &fileSystem) == 0 && copiesOnWrite(fd, fileSystem)) {
        LOG(WARNING) << "The file system of " << name << " copies on write, so that space cannot "
                     << "be reserved for good" << kFailWhenFull
                     << " (on btrfs, 'chattr +C' of an empty file helps)";
    }
    const auto found = findMissing(fd, length, name, 0);
    if (!found.ok()) return found.error();
    const auto& [missing, needy, known] = found.value();
    const auto swapFile = [&] {
        return makeError(ETXTBSY, "cannot export " + name, "it is a swap file");
    };
    if (needy.holes.empty() && needy.shared.empty()) {
        // Changes nothing; on a full disk XFS fails to do even that.
        const Range block{0, std::min<uint64_t>(length, 512)};
        if (allocate(fd, FALLOC_FL_KEEP_SIZE, block, step) == ETXTBSY) return swapFile();
        return {};
    }
    int code = allocateAll(fd, FALLOC_FL_KEEP_SIZE, needy.holes, step);
    if (code != 0 && code != EOPNOTSUPP && code != ENOSYS) {
        if (known) reopenHoles(fd, needy.holes, name);
        if (code == ETXTBSY) return swapFile();
        return cannotFill(code, name, neededText(missing));
    }
    if (code != 0 && missing > 0) {
        LOG(WARNING) << "The file system of " << name << " cannot reserve space for its holes"
                     << kFailWhenFull;
    }
    code = allocateAll(fd, FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE, needy.shared, step);
    if (code == 0) return {};
    if (code == EOPNOTSUPP || code == ENOSYS || code == EINVAL) {
        LOG(WARNING) << "Other files share blocks with " << name
                     << ", and its file system cannot part them" << kFailWhenFull;
        return {};
    }
    if (known) reopenHoles(fd, needy.holes, name);
    return makeError(code,
                     "cannot reserve disk space for what " + name + " shares with other files",
                     neededText(missing));
}

Result<> reserveSpaceWithin(std::chrono::milliseconds limit, int fd, uint64_t length,
                            const std::string& name) {
    struct State {
        UniqueFd fd;
        std::atomic<uint64_t> steps{0};
        Result<> result;  // when the work has ended
    };
    auto state = std::make_shared<State>();
    state->fd = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!state->fd.valid()) return makeError(errno, "cannot reserve disk space for " + name);
    auto thread = BoundedThread::start("nvmeof-space");
    if (!thread.ok()) return thread.error();
    thread.value()->run([state, length, name] {
        state->result = reserveSpace(state->fd.get(), length, name, [&] { ++state->steps; });
    });
    for (uint64_t seen = 0; !thread.value()->endsWithin(limit);) {
        if (state->steps == seen) {
            return makeError(EBUSY, "cannot reserve disk space for " + name + " now",
                             "its file system is frozen (fsfreeze, a backup agent), or its disk "
                             "hangs: register it again when it goes on");
        }
        seen = state->steps;
    }
    return state->result;
}

}  // namespace mooncake::nvmeof_generic
