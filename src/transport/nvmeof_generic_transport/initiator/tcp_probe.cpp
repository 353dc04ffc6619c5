// SPDX-License-Identifier: Apache-2.0
#include "tcp_probe.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

// NVMe/TCP Transport Specification 1.0, section 3.6.2.1 and .2: both PDUs have 128 bytes; byte 0
// is the type, byte 2 the header's length, bytes 4 to 7 the PDU's length (little endian). An ICReq
// whose other bytes are zero asks for version 0, no digests, one R2T at a time.
constexpr size_t kPduBytes = 128;
constexpr uint8_t kIcReq = 0x00;
constexpr uint8_t kIcResp = 0x01;
using Pdu = std::array<uint8_t, kPduBytes>;

constexpr Pdu makeIcReq() {
    Pdu pdu{};
    pdu[0] = kIcReq;
    pdu[2] = kPduBytes;
    pdu[4] = kPduBytes;
    return pdu;
}

Result<> failed(int code, const char* step) {
    return makeError(code, std::string("cannot ") + step);
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
            return makeError(EADDRNOTAVAIL, "there is no interface " + interface);
        }
    }
    return std::pair(storage, socklen_t{sizeof(sockaddr_in6)});
}

// Waits for sockets and can be woken by a stop request.
class Waiter {
 public:
    Waiter(Clock::time_point deadline, const std::stop_token& stop)
        : deadline_(deadline),
          stopped_(eventfd(0, EFD_CLOEXEC)),
          wake_(stop, Wake{stopped_.get()}) {}

    /// @return ETIMEDOUT, ECANCELED, or another errno
    Result<> wait(int fd, short events) const {
        while (true) {
            const auto left =
                std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
            if (left.count() <= 0) return failed(ETIMEDOUT, "reach the target");
            pollfd fds[] = {{fd, events, 0}, {stopped_.get(), POLLIN, 0}};
            const int ready =
                poll(fds, 2, static_cast<int>(std::min<int64_t>(left.count(), 60000)));
            if (ready < 0 && errno != EINTR) return failed(errno, "wait for the target");
            if (ready > 0) return fds[1].revents ? failed(ECANCELED, "go on") : Result<>();
        }
    }

 private:
    struct Wake {
        int fd;
        void operator()() const { eventfd_write(fd, 1); }
    };
    const Clock::time_point deadline_;
    const UniqueFd stopped_;
    const std::stop_callback<Wake> wake_;
};

Result<> sendAll(int fd, const Pdu& pdu, const Waiter& waiter) {
    size_t sent = 0;
    while (sent < pdu.size()) {
        const ssize_t count = send(fd, pdu.data() + sent, pdu.size() - sent, MSG_NOSIGNAL);
        if (count >= 0) {
            sent += static_cast<size_t>(count);
        } else if (errno == EAGAIN) {
            if (auto ready = waiter.wait(fd, POLLOUT); !ready.ok()) return ready;
        } else if (errno != EINTR) {
            return failed(errno, "send an ICReq");
        }
    }
    return {};
}

Result<> receiveIcResp(int fd, const Waiter& waiter) {
    Pdu pdu{};
    size_t received = 0;
    while (received < pdu.size()) {
        const ssize_t count = recv(fd, pdu.data() + received, pdu.size() - received, 0);
        if (count > 0) {
            // Anything but an ICResp is none of ours from its first byte on.
            if (pdu[0] != kIcResp) return failed(EPROTO, "understand the answer");
            received += static_cast<size_t>(count);
        } else if (count == 0) {
            return failed(ECONNRESET, "receive an ICResp");
        } else if (errno == EAGAIN) {
            if (auto ready = waiter.wait(fd, POLLIN); !ready.ok()) return ready;
        } else if (errno != EINTR) {
            return failed(errno, "receive an ICResp");
        }
    }
    constexpr uint8_t kLength[] = {kPduBytes, 0, 0, 0};
    if (pdu[2] != kPduBytes || std::memcmp(&pdu[4], kLength, sizeof(kLength)) != 0) {
        return failed(EPROTO, "understand the answer");
    }
    return {};
}

}  // namespace

Result<> probeTcpTarget(const TransportAddress& address, Clock::time_point deadline,
                        const std::stop_token& stop) {
    const auto target = toSocketAddress(address);
    if (!target.ok()) return target.error();
    const auto& [storage, length] = target.value();
    const Waiter waiter(deadline, stop);
    const UniqueFd fd(socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd.valid()) return failed(errno, "open a socket");
    if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0) {
        if (errno != EINPROGRESS) return failed(errno, "reach the target");
        if (auto ready = waiter.wait(fd.get(), POLLOUT); !ready.ok()) return ready;
        int code = 0;
        socklen_t size = sizeof(code);
        if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &code, &size) != 0) code = errno;
        if (code != 0) return failed(code, "reach the target");
    }
    if (auto sent = sendAll(fd.get(), makeIcReq(), waiter); !sent.ok()) return sent;
    return receiveIcResp(fd.get(), waiter);
}

}  // namespace mooncake::nvmeof_generic
