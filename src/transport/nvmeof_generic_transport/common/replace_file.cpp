// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/replace_file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr int kAttempts = 16;

// A name that nobody can guess, or has taken by accident.
std::string nameBeside(const std::string& path) {
    uint64_t number = 0;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
        number = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
    }
    return path + "." + std::to_string(number);
}

}  // namespace

Result<> replaceFile(const std::string& path, std::string_view text) {
    const size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    UniqueFd file(open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644));
    // Without a name it goes when the process dies; not every file system can do that.
    std::string beside;
    for (int attempt = 0; !file.valid() && attempt < kAttempts; ++attempt) {
        beside = nameBeside(path);
        file = UniqueFd(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
        if (!file.valid() && errno != EEXIST) break;
    }
    if (!file.valid()) return makeError(errno, "cannot create a file beside " + path);
    const auto failed = [&](const char* what) {
        const int code = errno;
        if (!beside.empty()) unlink(beside.c_str());
        return makeError(code, std::string(what) + " " + path);
    };
    for (size_t done = 0; done < text.size();) {
        const ssize_t written = write(file.get(), text.data() + done, text.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed("cannot write");
        done += static_cast<size_t>(written);
    }
    // For whoever reads counters, whatever the process's umask.
    if (fchmod(file.get(), 0644) != 0) return failed("cannot open to readers");
    if (beside.empty()) {
        const std::string open = "/proc/self/fd/" + std::to_string(file.get());
        int code = EEXIST;
        for (int attempt = 0; code == EEXIST && attempt < kAttempts; ++attempt) {
            beside = nameBeside(path);
            code = linkat(AT_FDCWD, open.c_str(), AT_FDCWD, beside.c_str(), AT_SYMLINK_FOLLOW) == 0
                       ? 0
                       : errno;
        }
        if (code != 0) return makeError(code, "cannot create " + beside);
    }
    file.reset();
    if (rename(beside.c_str(), path.c_str()) != 0) return failed("cannot replace");
    return {};
}

}  // namespace mooncake::nvmeof_generic
