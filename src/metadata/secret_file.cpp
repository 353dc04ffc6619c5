// SPDX-License-Identifier: Apache-2.0
#include "secret_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mooncake {

namespace {

constexpr size_t kMaxLine = 4096;
constexpr size_t kMaxLines = 65536;

std::string printable(std::string text) {
    if (text.size() > 300) text.resize(300);
    for (char& c : text) {
        if (c < ' ' || c > '~') c = '.';
    }
    return text;
}

Status checkFile(int fd, const std::string& what) {
    struct stat status = {};
    if (fstat(fd, &status) != 0) return Status::InvalidArgument(what + std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return Status::InvalidArgument(what + "it is no regular file");
    if (status.st_uid != 0 && status.st_uid != geteuid()) {
        return Status::InvalidArgument(what + "it belongs to user " +
                                       std::to_string(status.st_uid) +
                                       "; chown it to root or to the user of this process");
    }
    // Where systemd lets a service's user in by an access list, that shows as a right of the group.
    const mode_t forbidden =
        S_IRWXO | S_IWGRP | S_IXGRP | (status.st_gid == 0 ? mode_t{0} : mode_t{S_IRGRP});
    if ((status.st_mode & forbidden) != 0) {
        return Status::InvalidArgument(
            what + "it holds a secret, and its group or others may use it; chmod 600 it");
    }
    return Status::OK();
}

Status readAll(int fd, const std::string& what, size_t limit, SecretText* content) {
    char buffer[4096];
    Status status;
    size_t size = 0;
    for (;;) {
        const ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = Status::InvalidArgument(what + std::strerror(errno));
        if (got <= 0) break;
        size += static_cast<size_t>(got);
        if (size > limit) {
            status = Status::InvalidArgument(what + "it has more than " + std::to_string(limit) +
                                             " bytes");
            break;
        }
        content->append(std::string_view(buffer, static_cast<size_t>(got)));
    }
    explicit_bzero(buffer, sizeof(buffer));
    return status;
}

Status readFile(const std::string& path, size_t limit, std::string* what, SecretText* content) {
    std::string full = path;
    const std::string folder = environmentText("CREDENTIALS_DIRECTORY");
    if (!path.starts_with('/') && !folder.empty()) full = folder + "/" + path;
    *what = "cannot use the file '" + printable(full) + "': ";
    // Not to hang on a fifo, and no terminal to become ours.
    const int fd = open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return Status::InvalidArgument(*what + std::strerror(errno));
    Status status = checkFile(fd, *what);
    if (status.ok()) status = readAll(fd, *what, limit, content);
    close(fd);
    return status;
}

}  // namespace

std::string environmentText(const std::string& name) {
    const char* text = std::getenv(name.c_str());
    return text == nullptr ? "" : text;
}

Status readSecretFile(const std::string& path, SecretText* secret) {
    std::string what;
    SecretText content;
    Status status = readFile(path, kMaxLine, &what, &content);
    if (!status.ok()) return status;
    std::string_view text = content.view();
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
    if (text.empty()) return Status::InvalidArgument(what + "it is empty");
    if (text.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos) {
        return Status::InvalidArgument(what + "it has more than one line, or a zero in it");
    }
    *secret = SecretText(text);
    return status;
}

Status readSecretLines(const std::string& path, SecretText* content) {
    std::string what;
    return readFile(path, kMaxLines, &what, content);
}

Status secretFromEnvironment(const std::string& name, SecretText* secret) {
    const char* text = std::getenv(name.c_str());
    const std::string file_name = name + "_FILE";
    const std::string path = environmentText(file_name);
    *secret = SecretText();
    if (path.empty()) {
        if (text != nullptr) *secret = SecretText(text);
        return Status::OK();
    }
    if (text != nullptr && *text != '\0') {
        return Status::InvalidArgument(name + " and " + file_name + " are set; set one of them");
    }
    Status status = readSecretFile(path, secret);
    if (status.ok()) return status;
    return Status::InvalidArgument(file_name + ": " + std::string(status.message()));
}

}  // namespace mooncake
