// SPDX-License-Identifier: Apache-2.0
#include "lock_owner.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>
#include <sstream>

#include "text_file.h"

namespace mooncake::nvmeof_generic::admin {

std::optional<pid_t> lockOwner(const std::string& procRoot, const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    const auto locks = readText(procRoot + "/locks");
    if (!locks) return std::nullopt;
    std::istringstream lines(*locks);
    for (std::string line; std::getline(lines, line);) {
        // "1: FLOCK  ADVISORY  WRITE 193 00:1a:177 0 EOF"; who waits for a lock has "->" after the
        // number, and then no kind in the second place.
        char kind[16];
        long pid;
        unsigned deviceMajor, deviceMinor;
        unsigned long long inode;
        const int fields = std::sscanf(line.c_str(), "%*s %15s %*s %*s %ld %x:%x:%llu", kind, &pid,
                                       &deviceMajor, &deviceMinor, &inode);
        if (fields == 5 && std::string(kind) == "FLOCK" && pid > 0 &&
            deviceMajor == major(status.st_dev) && deviceMinor == minor(status.st_dev) &&
            inode == status.st_ino) {
            return static_cast<pid_t>(pid);
        }
    }
    return std::nullopt;
}

}  // namespace mooncake::nvmeof_generic::admin
