// SPDX-License-Identifier: Apache-2.0
#include "deadline_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "resolver.h"

namespace mooncake {

namespace {

Status failure(const char* what, int error) {
    return Status::Socket(std::string(what) + ": " + std::strerror(error));
}

}  // namespace

DeadlineSocket::~DeadlineSocket() {
    if (fd_ >= 0) close(fd_);
}

DeadlineSocket::DeadlineSocket(DeadlineSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

DeadlineSocket& DeadlineSocket::operator=(DeadlineSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Status DeadlineSocket::wait(short events, Time deadline, const char* what) const {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd ready = {fd_, events, 0};
        const auto limit = std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 1000000);
        const int count = poll(&ready, 1, static_cast<int>(limit));
        if (count > 0) return Status::OK();
        if (count == 0 && limit == left.count()) return failure(what, ETIMEDOUT);
        if (count == 0 && left.count() <= 0) return failure(what, ETIMEDOUT);
        if (count < 0 && errno != EINTR) return failure(what, errno);
    }
}

Status DeadlineSocket::connect(const StoreEndpoint& endpoint, Time deadline) {
    Resolver::Addresses addresses;
    Status status = Resolver::ofProcess().resolve(endpoint.host, deadline, &addresses);
    if (!status.ok()) return status;
    status = Status::Socket("connect: the host has no address");
    for (size_t i = 0; i < addresses.size(); ++i) {
        sockaddr_storage& address = addresses[i];
        setPort(&address, endpoint.port);
        // One that is silent leaves time for the others.
        const auto now = std::chrono::steady_clock::now();
        const Time share = now + (deadline - now) / static_cast<int64_t>(addresses.size() - i);
        DeadlineSocket attempt;
        attempt.fd_ = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (attempt.fd_ < 0) {
            status = failure("socket", errno);
            continue;
        }
        const int on = 1;
        setsockopt(attempt.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        setsockopt(attempt.fd_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
        if (::connect(attempt.fd_, reinterpret_cast<sockaddr*>(&address), sizeOf(address)) != 0) {
            if (errno != EINPROGRESS) {
                status = failure("connect", errno);
                continue;
            }
            status = attempt.wait(POLLOUT, share, "connect");
            if (!status.ok()) continue;
            int error = 0;
            socklen_t size = sizeof(error);
            getsockopt(attempt.fd_, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error != 0) {
                status = failure("connect", error);
                continue;
            }
        }
        *this = std::move(attempt);
        return Status::OK();
    }
    return status;
}

Status DeadlineSocket::send(std::string_view bytes, Time deadline) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0) {
            bytes.remove_prefix(static_cast<size_t>(sent));
        } else if (errno == EAGAIN) {
            Status status = wait(POLLOUT, deadline, "send");
            if (!status.ok()) return status;
        } else if (errno != EINTR) {
            return failure("send", errno);
        }
    }
    return Status::OK();
}

Status DeadlineSocket::receive(size_t limit, Time deadline, std::string* bytes) {
    char buffer[16384];
    for (;;) {
        const ssize_t got = recv(fd_, buffer, std::min(limit, sizeof(buffer)), 0);
        if (got > 0) {
            bytes->append(buffer, static_cast<size_t>(got));
            // Else a peer that sends without end would never let us look at the clock.
            return std::chrono::steady_clock::now() < deadline ? Status::OK()
                                                               : failure("receive", ETIMEDOUT);
        }
        if (got == 0) return Status::Socket("receive: the other side closed the connection");
        if (errno == EAGAIN) {
            Status status = wait(POLLIN, deadline, "receive");
            if (!status.ok()) return status;
        } else if (errno != EINTR) {
            return failure("receive", errno);
        }
    }
}

}  // namespace mooncake
