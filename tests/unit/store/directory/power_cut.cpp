// SPDX-License-Identifier: Apache-2.0
#include "power_cut.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>

namespace mooncake::store::test {
namespace {

namespace fs = std::filesystem;

struct Disk {
    std::string folder;
    std::set<std::string> names;               // of files that are there
    std::map<std::string, std::string> bytes;  // as they were flushed
};

std::mutex mutex;
Disk* disk = nullptr;  // under the mutex

std::string contentsOf(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void flushNames() {
    disk->names.clear();
    for (const auto& file : fs::directory_iterator(disk->folder)) {
        disk->names.insert(file.path().filename());
    }
}

// Before the system call: what comes later may not be down.
void flushed(int fd) {
    const std::lock_guard lock(mutex);
    if (disk == nullptr) return;
    std::error_code none;
    const fs::path path = fs::read_symlink("/proc/self/fd/" + std::to_string(fd), none);
    if (path == disk->folder) {
        flushNames();
    } else if (path.parent_path() == disk->folder) {
        disk->bytes[path.filename()] = contentsOf(path);
    }
}

}  // namespace

PowerCut::PowerCut(const std::string& folder) {
    const std::lock_guard lock(mutex);
    disk = new Disk{fs::canonical(folder), {}, {}};
    flushNames();
    for (const std::string& name : disk->names) {
        disk->bytes[name] = contentsOf(fs::path(disk->folder) / name);
    }
}

PowerCut::~PowerCut() {
    const std::lock_guard lock(mutex);
    delete std::exchange(disk, nullptr);
}

void PowerCut::leaveIn(const std::string& folder) const {
    const std::lock_guard lock(mutex);
    fs::create_directory(folder);
    for (const std::string& name : disk->names) {
        std::ofstream(fs::path(folder) / name, std::ios::binary) << disk->bytes[name];
    }
}

}  // namespace mooncake::store::test

// In the place of the C library's, for SQLite as well.
extern "C" __attribute__((visibility("default"))) int fsync(int fd) {
    mooncake::store::test::flushed(fd);
    return static_cast<int>(syscall(SYS_fsync, fd));
}
extern "C" __attribute__((visibility("default"))) int fdatasync(int fd) {
    mooncake::store::test::flushed(fd);
    return static_cast<int>(syscall(SYS_fdatasync, fd));
}
