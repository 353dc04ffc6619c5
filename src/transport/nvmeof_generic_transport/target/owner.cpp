// SPDX-License-Identifier: Apache-2.0
#include "owner.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

// PROC_PID_INIT_INO in include/linux/proc_ns.h: the PID namespace that holds all processes.
constexpr uint64_t kInitialPidNamespace = 0xEFFFFFFC;

template <class Number>
bool toNumber(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

/// What /proc/PID/stat says of a process.
struct Stat {
    uint64_t start = 0;
    uint64_t image = 0;  // 0 as well where we may not know
    bool ended = false;  // a zombie
};

// @return 0 or an errno value
int readStat(const std::string& folder, Stat& stat) {
    const UniqueFd file(::open((folder + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    std::array<char, 4096> buffer;  // the line is far shorter
    const ssize_t length = file.valid() ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
    // One that ends after it was opened.
    if (length < 0) return errno == ESRCH ? ENOENT : errno;
    if (length == 0) return ENOENT;
    const std::string line(buffer.data(), static_cast<size_t>(length));
    // The name may hold anything; what follows it begins with the third field.
    const size_t name = line.rfind(')');
    if (name == std::string::npos) return EINVAL;
    std::istringstream rest(line.substr(name + 1));
    const std::vector<std::string> fields{std::istream_iterator<std::string>(rest), {}};
    constexpr size_t kState = 3 - 3, kThreads = 20 - 3, kStart = 22 - 3, kStack = 28 - 3;
    uint64_t threads = 0;
    if (fields.size() <= kStack || !toNumber(fields[kStart], stat.start) ||
        !toNumber(fields[kThreads], threads) || !toNumber(fields[kStack], stat.image)) {
        return EINVAL;
    }
    // Where only the first thread has ended, others may still be at work.
    stat.ended = (fields[kState] == "Z" || fields[kState] == "X") && threads <= 1;
    return 0;
}

// 0 when there is none.
uint64_t inodeOf(const std::string& path) {
    struct stat status;
    return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Whether the numbers in this /proc are those of our own PID namespace.
bool isOwnProc(const std::string& procRoot) {
    char name[32];
    const ssize_t length = ::readlink((procRoot + "/self").c_str(), name, sizeof(name));
    pid_t pid = 0;
    return length > 0 && toNumber(std::string_view(name, static_cast<size_t>(length)), pid) &&
           pid == ::getpid();
}

Life judge(const Owner& owner, const std::string& folder) {
    Stat stat;
    const int code = readStat(folder, stat);
    if (code == ENOENT) return Life::kDead;
    if (code != 0) return Life::kUnknown;
    const bool known = stat.image != 0 && owner.image != 0;
    const bool same = stat.start == owner.start && (!known || stat.image == owner.image);
    return same && !stat.ended ? Life::kAlive : Life::kDead;
}

// The number that a process has in its innermost PID namespace.
pid_t innerPid(const std::string& folder) {
    std::ifstream file(folder + "/status");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("NSpid:")) continue;
        pid_t pid = 0;
        return toNumber(std::string_view(line).substr(line.find_last_of("\t ") + 1), pid) ? pid : 0;
    }
    return 0;
}

// Among all processes of the machine.
OwnerSight findInAll(const Owner& owner, const std::string& procRoot) {
    DIR* dir = ::opendir(procRoot.c_str());
    if (dir == nullptr) return {};
    OwnerSight sight{Life::kDead, 0};
    while (const dirent* entry = ::readdir(dir)) {
        pid_t pid = 0;
        if (!toNumber(std::string_view(entry->d_name), pid)) continue;
        const std::string folder = procRoot + "/" + entry->d_name;
        struct stat status;
        if (::stat((folder + "/ns/pid").c_str(), &status) != 0) {
            if (errno != ENOENT && errno != ESRCH) sight.life = Life::kUnknown;
            continue;
        }
        if (status.st_ino != owner.pidNamespace || innerPid(folder) != owner.pid) continue;
        if (judge(owner, folder) == Life::kAlive) {
            sight = {Life::kAlive, pid};
            break;
        }
    }
    ::closedir(dir);
    return sight;
}

}  // namespace

Result<Owner> Owner::self(const std::string& procRoot) {
    Stat stat;
    if (const int code = readStat(procRoot + "/self", stat); code != 0) {
        return makeError(code, "cannot find out when this process was started",
                         "mount -t proc proc " + procRoot);
    }
    Owner owner{::getpid(), stat.start, stat.image, 0, 0, networkNamespace()};
    // With another namespace's /proc the number would mean somebody else to others.
    if (isOwnProc(procRoot)) owner.pidNamespace = inodeOf(procRoot + "/self/ns/pid");
    owner.timeNamespace = inodeOf(procRoot + "/self/ns/time");
    return owner;
}

std::string Owner::toText() const {
    std::string text;
    for (const uint64_t number :
         {static_cast<uint64_t>(pid), start, image, pidNamespace, timeNamespace, network}) {
        text += std::to_string(number) + '.';
    }
    return text;
}

std::optional<Owner> Owner::take(std::string_view& text) {
    std::array<uint64_t, 6> numbers{};
    for (uint64_t& number : numbers) {
        const size_t dot = text.find('.');
        if (dot == std::string_view::npos || !toNumber(text.substr(0, dot), number)) {
            return std::nullopt;
        }
        text.remove_prefix(dot + 1);
    }
    return Owner{
        static_cast<pid_t>(numbers[0]), numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]};
}

OwnerSight lookAt(const Owner& owner, const std::string& procRoot) {
    if (owner.pidNamespace == 0 || !isOwnProc(procRoot)) return {};
    if (owner.timeNamespace != inodeOf(procRoot + "/self/ns/time")) return {};
    const uint64_t own = inodeOf(procRoot + "/self/ns/pid");
    if (owner.pidNamespace == own) {
        const Life life = judge(owner, procRoot + "/" + std::to_string(owner.pid));
        return {life, life == Life::kAlive ? owner.pid : 0};
    }
    return own == kInitialPidNamespace ? findInAll(owner, procRoot) : OwnerSight();
}

}  // namespace mooncake::nvmeof_generic
