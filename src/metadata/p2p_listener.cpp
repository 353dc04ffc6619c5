// SPDX-License-Identifier: Apache-2.0
#include "p2p_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common.h"

namespace mooncake {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kAcceptPause(100);

// Where to listen. IPv6 also for names: such a socket serves both families.
sockaddr_storage addressOf(const std::string& host, uint16_t port, bool with_ipv6,
                           socklen_t* size) {
    sockaddr_storage storage = {};
    auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
    if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1 ||
        (!with_ipv6 && !isValidIpV6(host))) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *size = sizeof(*v4);
        return storage;
    }
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) v6->sin6_addr = in6addr_any;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    *size = sizeof(*v6);
    return storage;
}

}  // namespace

struct P2pListener::Connection {
    int fd = -1;
    Clock::time_point deadline;
    P2pFrameReader reader;
    std::string out;  // what of the answer is not sent yet
    bool answered = false;
};

Status P2pListener::start(const std::string& host, uint16_t port, const Limits& limits,
                          Answer answer, std::unique_ptr<P2pListener>* listener) {
    std::unique_ptr<P2pListener> made(new P2pListener(limits, std::move(answer)));
    Status status = made->listen(host, port);
    if (!status.ok()) return status;
    made->thread_ = std::thread([self = made.get()] { self->serve(); });
    *listener = std::move(made);
    return Status::OK();
}

Status P2pListener::listen(const std::string& host, uint16_t port) {
    const auto failed = [&](int error) {
        const char* remedy =
            error == EADDRINUSE ? "; give this node another port, or port 0 for one that is free"
            : error == EADDRNOTAVAIL ? "; name this node by an address of this machine"
                                     : "";
        return Status::Socket("cannot listen on " + maybeWrapIpV6(host) + ":" +
                              std::to_string(port) + ": " + std::strerror(error) + remedy);
    };
    sockaddr_storage address = {};
    socklen_t size = 0;
    for (const bool with_ipv6 : {true, false}) {
        address = addressOf(host, port, with_ipv6, &size);
        socket_ = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (socket_ >= 0 || errno != EAFNOSUPPORT) break;
    }
    stop_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (socket_ < 0 || stop_ < 0) return failed(errno);
    const int on = 1;
    const int off = 0;
    // Else the connections of a predecessor that crashed keep its port for a minute.
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (address.ss_family == AF_INET6 && !isValidIpV6(host)) {
        setsockopt(socket_, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(socket_, generic, size) != 0 || ::listen(socket_, SOMAXCONN) != 0 ||
        getsockname(socket_, generic, &size) != 0) {
        return failed(errno);
    }
    port_ =
        ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                            : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
    return Status::OK();
}

P2pListener::~P2pListener() {
    if (thread_.joinable()) {
        const uint64_t one = 1;
        [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
        thread_.join();
    }
    if (socket_ >= 0) close(socket_);
    if (stop_ >= 0) close(stop_);
}

void P2pListener::serve() {
    std::vector<Connection> connections;
    std::vector<pollfd> polled;
    for (;;) {
        const auto now = Clock::now();
        const bool full = connections.size() >= limits_.connections;
        const bool paused = now < accept_from_;
        auto wake = Clock::time_point::max();
        if (paused) wake = accept_from_;
        polled.clear();
        polled.push_back({stop_, POLLIN, 0});
        polled.push_back({socket_, static_cast<short>(full || paused ? 0 : POLLIN), 0});
        for (const Connection& one : connections) {
            polled.push_back({one.fd, static_cast<short>(one.out.empty() ? POLLIN : POLLOUT), 0});
            wake = std::min(wake, one.deadline);
        }
        int timeout = -1;
        if (wake != Clock::time_point::max()) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(wake - now).count();
            timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 1000000));
        }
        if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) {
            LOG(ERROR) << "This node answers no other any more: poll: " << std::strerror(errno);
            break;
        }
        if (polled[0].revents != 0) break;
        const auto after = Clock::now();
        for (size_t i = 0; i < connections.size(); ++i) {
            Connection& one = connections[i];
            const bool open = (polled[i + 2].revents == 0 || advance(&one)) && after < one.deadline;
            if (!open) {
                close(one.fd);
                one.fd = -1;
            }
        }
        std::erase_if(connections, [](const Connection& one) { return one.fd < 0; });
        if (polled[1].revents != 0) acceptAll(&connections);
    }
    for (const Connection& one : connections) close(one.fd);
}

void P2pListener::acceptAll(std::vector<Connection>* connections) {
    while (connections->size() < limits_.connections) {
        const int fd = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
            LOG(WARNING) << "A node that asks is not answered yet: accept: "
                         << std::strerror(errno);
            accept_from_ = Clock::now() + kAcceptPause;
            return;
        }
        Connection& made = connections->emplace_back();
        made.fd = fd;
        made.deadline = Clock::now() + limits_.connection_time;
    }
}

// False where the connection is to be closed.
bool P2pListener::advance(Connection* connection) const {
    if (!connection->answered && !receiveFrame(connection)) return false;
    if (!connection->answered) return true;
    while (!connection->out.empty()) {
        const ssize_t sent =
            send(connection->fd, connection->out.data(), connection->out.size(), MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN || errno == EINTR;
        connection->out.erase(0, static_cast<size_t>(sent));
        // Closing at once could make the kernel drop what the other side has not read yet.
        if (connection->out.empty()) shutdown(connection->fd, SHUT_WR);
    }
    char byte = 0;
    const ssize_t got = recv(connection->fd, &byte, 1, 0);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

bool P2pListener::receiveFrame(Connection* connection) const {
    char buffer[16384];
    while (connection->reader.missing() > 0) {
        const size_t wanted = std::min(connection->reader.missing(), sizeof(buffer));
        const ssize_t got = recv(connection->fd, buffer, wanted, 0);
        if (got < 0) return errno == EAGAIN || errno == EINTR;
        if (got == 0) return false;
        const Status fed =
            connection->reader.feed(std::string_view(buffer, static_cast<size_t>(got)));
        if (!fed.ok()) {
            LOG(WARNING) << "A connection that is no node's was closed: " << fed.message();
            return false;
        }
    }
    connection->out = answer_(connection->reader.take());
    connection->answered = true;
    return !connection->out.empty();
}

}  // namespace mooncake
