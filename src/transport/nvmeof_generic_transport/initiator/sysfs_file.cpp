// SPDX-License-Identifier: Apache-2.0
#include "sysfs_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string_view>

namespace mooncake::nvmeof_generic {

bool isGone(int code) {
    return code == ENOENT || code == ENODEV || code == ENXIO || code == EIO;
}

Result<UniqueFd> openFolder(int dir, const std::string& path) {
    UniqueFd fd(openat(dir, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.valid()) return makeError(errno, "cannot open the folder " + path);
    return fd;
}

Result<std::vector<std::string>> listFolder(int dir, const std::string& path) {
    const int fd = openat(dir, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return makeError(errno, "cannot open the folder " + path);
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(fd), closedir);
    if (!folder) {
        const int code = errno;
        close(fd);
        return makeError(code, "cannot list the folder " + path);
    }
    std::vector<std::string> names;
    while (true) {
        errno = 0;
        const dirent* entry = readdir(folder.get());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return makeError(errno, "cannot list the folder " + path);
    return names;
}

Result<std::string> readAttribute(int dir, const std::string& path) {
    const UniqueFd fd(openat(dir, path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return makeError(errno, "cannot open " + path);
    char text[4096];  // an attribute is at most one page
    size_t length = 0;
    while (length < sizeof(text)) {
        const ssize_t got = read(fd.get(), text + length, sizeof(text) - length);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return makeError(errno, "cannot read " + path);
        if (got == 0) break;
        length += static_cast<size_t>(got);
    }
    const size_t end = std::string_view(text, length).find_last_not_of(" \t\r\n");
    return std::string(text, end == std::string_view::npos ? 0 : end + 1);
}

Result<> writeAttribute(int dir, const std::string& path, const std::string& value) {
    const UniqueFd fd(openat(dir, path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return makeError(errno, "cannot open " + path);
    if (write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
        return makeError(errno, "cannot write '" + value + "' to " + path);
    }
    return {};
}

}  // namespace mooncake::nvmeof_generic
