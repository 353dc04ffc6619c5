// SPDX-License-Identifier: Apache-2.0
#include "probe_socket.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

// Its code says it all.
Error failed(int code) {
    return Error{code, {}};
}

Result<std::pair<sockaddr_storage, socklen_t>> toSocketAddress(const TransportAddress& address) {
    sockaddr_storage storage{};
    const auto port = htons(static_cast<uint16_t>(std::stoul(address.trsvcid)));
    if (address.adrfam == "ipv4") {
        auto* ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = port;
        inet_pton(AF_INET, address.traddr.c_str(), &ipv4->sin_addr);
        return std::pair(storage, socklen_t{sizeof(sockaddr_in)});
    }
    auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
    const size_t percent = std::min(address.traddr.find('%'), address.traddr.size());
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = port;
    inet_pton(AF_INET6, address.traddr.substr(0, percent).c_str(), &ipv6->sin6_addr);
    if (percent < address.traddr.size()) {
        const std::string interface = address.traddr.substr(percent + 1);
        ipv6->sin6_scope_id = if_nametoindex(interface.c_str());
        if (ipv6->sin6_scope_id == 0) {
            return Error{EADDRNOTAVAIL, "the target's record names interface " + interface +
                                            ", and this host, or this network namespace, has "
                                            "none of that name"};
        }
    }
    return std::pair(storage, socklen_t{sizeof(sockaddr_in6)});
}

// As the kernel does with its own sockets.
Result<> bindTo(int fd, const Path& path) {
    const std::string& interface = path.from.interface;
    if (!interface.empty() && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                                         static_cast<socklen_t>(interface.size())) != 0) {
        if (errno != ENODEV) return failed(errno);
        return Error{EADDRNOTAVAIL, "MC_NVMEOF_GENERIC_HOST_INTERFACES names interface " +
                                        interface + ", and this host has none of that name now"};
    }
    if (path.from.address.empty()) return {};
    const auto from =
        toSocketAddress({path.target.trtype, path.target.adrfam, path.from.address, "0"});
    if (!from.ok()) return from.error();
    const auto& [storage, length] = from.value();
    if (bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) == 0) return {};
    if (errno != EADDRNOTAVAIL) return failed(errno);
    return Error{EADDRNOTAVAIL, "MC_NVMEOF_GENERIC_HOST_INTERFACES names " + path.from.address +
                                    ", which is no address of this host now"};
}

}  // namespace

// A stop request as something that poll(2) sees.
class ProbeSocket::Stop {
 public:
    explicit Stop(const std::stop_token& stop)
        : event_(eventfd(0, EFD_CLOEXEC)), wake_(stop, Wake{event_.get()}) {}
    int fd() const { return event_.get(); }

 private:
    struct Wake {
        int fd;
        void operator()() const { eventfd_write(fd, 1); }
    };
    const UniqueFd event_;
    const std::stop_callback<Wake> wake_;
};

ProbeSocket::ProbeSocket(const std::stop_token& stop) : stop_(std::make_unique<Stop>(stop)) {}

ProbeSocket::~ProbeSocket() = default;

Result<> ProbeSocket::connect(const Path& path, Clock::time_point deadline) {
    const auto target = toSocketAddress(path.target);
    if (!target.ok()) return target.error();
    const auto& [storage, length] = target.value();
    fd_ = UniqueFd(socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd_.valid()) return failed(errno);
    if (auto bound = bindTo(fd_.get(), path); !bound.ok()) return bound;
    constexpr int kOn = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &kOn, sizeof(kOn));
    if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0) return {};
    if (errno != EINPROGRESS) return failed(errno);
    if (auto ready = wait(POLLOUT, deadline); !ready.ok()) return ready;
    int code = 0;
    socklen_t size = sizeof(code);
    if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
    return code != 0 ? failed(code) : Result<>();
}

Result<> ProbeSocket::send(const uint8_t* data, size_t length, Clock::time_point deadline) {
    while (length > 0) {
        const ssize_t count = ::send(fd_.get(), data, length, MSG_NOSIGNAL);
        if (count >= 0) {
            data += count;
            length -= static_cast<size_t>(count);
        } else if (errno == EAGAIN) {
            if (auto ready = wait(POLLOUT, deadline); !ready.ok()) return ready;
        } else if (errno != EINTR) {
            // What the peer has closed is closed, whoever notices first.
            return failed(errno == EPIPE ? ECONNRESET : errno);
        }
    }
    return {};
}

Result<> ProbeSocket::receive(uint8_t* data, size_t length, Clock::time_point deadline) {
    while (length > 0) {
        // Also where bytes come one by one, with no wait in between.
        if (Clock::now() >= deadline) return failed(ETIMEDOUT);
        const ssize_t count = recv(fd_.get(), data, length, 0);
        if (count > 0) {
            data += count;
            length -= static_cast<size_t>(count);
        } else if (count == 0) {
            return failed(ECONNRESET);
        } else if (errno == EAGAIN) {
            if (auto ready = wait(POLLIN, deadline); !ready.ok()) return ready;
        } else if (errno != EINTR) {
            return failed(errno);
        }
    }
    return {};
}

Result<> ProbeSocket::wait(short events, Clock::time_point deadline) const {
    constexpr std::chrono::seconds kInOrder{1};
    bool stopped = false;
    while (true) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
        if (left.count() <= 0) return failed(stopped ? ECANCELED : ETIMEDOUT);
        pollfd fds[] = {{fd_.get(), events, 0}, {stopped ? -1 : stop_->fd(), POLLIN, 0}};
        const int ready = poll(fds, 2, static_cast<int>(std::min<int64_t>(left.count(), 60000)));
        if (ready < 0 && errno != EINTR) return failed(errno);
        if (ready <= 0) continue;
        if (fds[1].revents == 0 || (inOrder_ && fds[0].revents != 0)) return {};
        if (!inOrder_) return failed(ECANCELED);
        stopped = true;
        deadline = std::min<Clock::time_point>(deadline, Clock::now() + kInOrder);
    }
}

}  // namespace mooncake::nvmeof_generic
