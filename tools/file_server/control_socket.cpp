// SPDX-License-Identifier: Apache-2.0
#include "control_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::file_server {

using nvmeof_generic::inQuotes;
using nvmeof_generic::makeError;
using nvmeof_generic::UniqueFd;

namespace {

constexpr char kRequest[] = "reload\n";
constexpr int kRequestLimit = 1000;             // milliseconds
constexpr size_t kMaxAnswer = size_t{1} << 16;  // what fits the socket's buffer for certain

Result<sockaddr_un> addressOf(const std::string& path) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof(address.sun_path)) {
        return makeError(ENAMETOOLONG, "control socket " + inQuotes(path));
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

UniqueFd connectTo(const sockaddr_un& address) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd.valid() &&
        ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        const int code = errno;
        fd.reset();
        errno = code;
    }
    return fd;
}

UniqueFd makeSpare() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

bool canRead(int fd, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (true) {
        const auto left = std::max<int64_t>(
            0, (end - std::chrono::steady_clock::now()) / std::chrono::milliseconds(1));
        pollfd entry = {fd, POLLIN, 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(left));
        if (ready > 0) return true;
        if (ready == 0 || errno != EINTR) return false;
    }
}

}  // namespace

ControlSocket::ControlSocket(std::string path, UniqueFd fd)
    : path_(std::move(path)), fd_(std::move(fd)), spare_(makeSpare()) {}

ControlSocket::~ControlSocket() {
    ::unlink(path_.c_str());
}

Result<std::unique_ptr<ControlSocket>> ControlSocket::listen(const std::string& path) {
    const std::string what = "cannot listen at control socket " + inQuotes(path);
    const auto address = addressOf(path);
    if (!address.ok()) return address.error();
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return makeError(errno, what);
    const auto bind = [&] {
        return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.value()),
                      sizeof(sockaddr_un));
    };
    if (bind() != 0) {
        if (errno != EADDRINUSE) return makeError(errno, what);
        struct stat info;
        const bool left = ::lstat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode) &&
                          !connectTo(address.value()).valid() && errno == ECONNREFUSED;
        if (!left) {
            return makeError(EADDRINUSE, what, "another server is there, or something else");
        }
        ::unlink(path.c_str());
        if (bind() != 0) return makeError(errno, what);
    }
    // The folder says who may come here; where it is open to all, this is not.
    (void)::chmod(path.c_str(), 0600);
    if (::listen(fd.get(), 8) != 0) return makeError(errno, what);
    return std::unique_ptr<ControlSocket>(new ControlSocket(path, std::move(fd)));
}

UniqueFd ControlSocket::accept() {
    UniqueFd asker(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!asker.valid() && errno == EMFILE) {
        spare_.reset();
        ::close(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        spare_ = makeSpare();
        return {};
    }
    if (!asker.valid() || !canRead(asker.get(), std::chrono::milliseconds(kRequestLimit)))
        return {};
    char request[sizeof(kRequest)];
    const ssize_t got = ::recv(asker.get(), request, sizeof(request), 0);
    if (got != sizeof(kRequest) - 1 || std::memcmp(request, kRequest, sizeof(kRequest) - 1) != 0) {
        return {};
    }
    return asker;
}

void ControlSocket::answer(const UniqueFd& asker, const ReloadAnswer& answer) {
    const std::string text =
        std::to_string(answer.status) + "\n" + answer.text.substr(0, kMaxAnswer) + "\n";
    (void)::send(asker.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

Result<ReloadAnswer> askForReload(const std::string& path, std::chrono::milliseconds limit) {
    const std::string what = "cannot have the server at " + inQuotes(path) + " reload";
    const auto address = addressOf(path);
    if (!address.ok()) return address.error();
    const UniqueFd fd = connectTo(address.value());
    if (!fd.valid()) {
        const bool none = errno == ENOENT || errno == ECONNREFUSED;
        return makeError(errno, what, none ? "no server runs, or it has no control socket" : "");
    }
    if (::send(fd.get(), kRequest, sizeof(kRequest) - 1, MSG_NOSIGNAL) < 0) {
        return makeError(errno, what);
    }
    const auto end = std::chrono::steady_clock::now() + limit;
    std::string text;
    char piece[4096];
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        if (left.count() <= 0 || !canRead(fd.get(), left)) {
            return makeError(ETIMEDOUT, what, "it goes on; the log of the server tells its end");
        }
        const ssize_t got = ::recv(fd.get(), piece, sizeof(piece), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return makeError(errno, what);
        if (got == 0) break;
        text.append(piece, static_cast<size_t>(got));
    }
    // "<digit>\n<text>\n"
    if (text.size() < 3 || text[0] < '0' || text[0] > '2' || text[1] != '\n') {
        return makeError(ECONNRESET, what, "the server ended, or refused");
    }
    return ReloadAnswer{static_cast<ExitStatus>(text[0] - '0'), text.substr(2, text.size() - 3)};
}

}  // namespace mooncake::file_server
