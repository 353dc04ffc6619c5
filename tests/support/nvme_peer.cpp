// SPDX-License-Identifier: Apache-2.0
#include "nvme_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

using Bytes = NvmePeer::Bytes;

bool receiveAll(int fd, uint8_t* data, size_t length) {
    return recv(fd, data, length, MSG_WAITALL) == static_cast<ssize_t>(length);
}

Bytes response(uint16_t id, uint64_t result, uint16_t status) {
    Bytes pdu(24);
    pdu[0] = 5, pdu[2] = 24, pdu[4] = 24;
    std::memcpy(&pdu[8], &result, 8);
    std::memcpy(&pdu[20], &id, 2);
    status = static_cast<uint16_t>(status << 1);
    std::memcpy(&pdu[22], &status, 2);
    return pdu;
}

Bytes dataAnd(const Bytes& data, const Bytes& response, uint16_t id) {
    Bytes pdu(24);
    pdu[0] = 7, pdu[1] = 4, pdu[2] = 24, pdu[3] = 24;
    const auto length = static_cast<uint32_t>(data.size()), all = length + 24;
    std::memcpy(&pdu[4], &all, 4);
    std::memcpy(&pdu[8], &id, 2);
    std::memcpy(&pdu[16], &length, 4);
    pdu.insert(pdu.end(), data.begin(), data.end());
    pdu.insert(pdu.end(), response.begin(), response.end());
    return pdu;
}

}  // namespace

NvmePeer::NvmePeer(std::string nqn, Change change, int family, uint16_t port)
    : nqn_(std::move(nqn)),
      change_(std::move(change)),
      family_(family),
      listener_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_addr = in6addr_loopback;
    ipv6.sin6_port = htons(port);
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ipv4.sin_port = htons(port);
    const int on = 1;
    setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    auto* address =
        family == AF_INET ? reinterpret_cast<sockaddr*>(&ipv4) : reinterpret_cast<sockaddr*>(&ipv6);
    socklen_t length = family == AF_INET ? sizeof(ipv4) : sizeof(ipv6);
    if (bind(listener_.get(), address, length) != 0 || listen(listener_.get(), 8) != 0 ||
        getsockname(listener_.get(), address, &length) != 0) {
        throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(family == AF_INET ? ipv4.sin_port : ipv6.sin6_port);
    acceptor_ = std::thread([this] { accept(); });
}

NvmePeer::~NvmePeer() {
    shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (const UniqueFd& connection : connections_) shutdown(connection.get(), SHUT_RDWR);
    for (std::thread& thread : threads_) thread.join();
}

TransportAddress NvmePeer::address() const {
    const auto port = std::to_string(port_);
    return family_ == AF_INET ? TransportAddress{"tcp", "ipv4", "127.0.0.1", port}
                              : TransportAddress{"tcp", "ipv6", "::1", port};
}

std::vector<Bytes> NvmePeer::received() {
    std::unique_lock lock(mutex_);
    firstEnded_.wait(lock, [this] { return hasEnded_; });
    return received_;
}

bool NvmePeer::hasAuthenticated() {
    received();
    return firstAuthentication_ && firstAuthentication_->hasAuthenticated();
}

bool NvmePeer::wasToldFailure2() {
    received();
    return firstAuthentication_ && firstAuthentication_->wasToldFailure2();
}

size_t NvmePeer::connections() {
    const std::lock_guard lock(mutex_);
    return accepted_;
}

void NvmePeer::accept() {
    while (true) {
        UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd.valid()) return;
        {
            const std::lock_guard lock(mutex_);
            ++accepted_;
        }
        const int number = fd.get();
        const bool first = connections_.empty();
        connections_.push_back(std::move(fd));
        threads_.emplace_back([this, number, first] {
            serve(number, first);
            shutdown(number, SHUT_RDWR);
            if (!first) return;
            const std::lock_guard lock(mutex_);
            hasEnded_ = true;
            firstEnded_.notify_all();
        });
    }
}

void NvmePeer::serve(int fd, bool first) {
    std::optional<DhchapTarget> own;
    auto& chap = first ? firstAuthentication_ : own;
    for (size_t step = 0;; ++step) {
        Bytes pdu(8);
        if (!receiveAll(fd, pdu.data(), 8)) return;
        uint32_t length = 0;
        std::memcpy(&length, &pdu[4], 4);
        pdu.resize(std::clamp<size_t>(length, 8, 10000));
        if (!receiveAll(fd, pdu.data() + 8, pdu.size() - 8)) return;
        if (first) {
            const std::lock_guard lock(mutex_);
            received_.push_back(pdu);
        }
        Bytes answer = answerTo(step, pdu, chap);
        change_(step, answer, fd);
        if (send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
        if (chap && chap->hasRefused()) return;
    }
}

NvmePeer::Bytes NvmePeer::answerTo(size_t step, const Bytes& pdu,
                                   std::optional<DhchapTarget>& chap) {
    if (pdu[0] == 0) {
        Bytes answer(128);
        answer[0] = 1, answer[2] = 128, answer[4] = 128;
        answer[14] = 0x10;  // MAXH2CDATA
        return answer;
    }
    const uint8_t* command = &pdu[8];
    uint16_t id = 0;
    std::memcpy(&id, command + 2, 2);
    const uint16_t status = step < 16 ? refuseWith[step] : 0;
    if (status != 0) return response(id, 0, status);
    const uint8_t opcode = command[0], fabricsType = command[4];
    if (opcode == 0x0c) return {};  // an asynchronous event, of which there is none
    if (opcode == 0x7f && fabricsType == 1) {
        if (!authentication) return response(id, connectResult, 0);
        const auto name = [&](size_t at) { return reinterpret_cast<const char*>(&pdu[72 + at]); };
        chap.emplace(*authentication, name(512), name(256));
        return response(id, connectResult | 1u << 17, 0);
    }
    if (opcode == 0x7f && (fabricsType == 5 || fabricsType == 6)) {
        const bool right = chap && command[41] == 1 && command[42] == 1 && command[43] == 0xe9;
        uint32_t length = 0;
        std::memcpy(&length, command + 44, 4);
        if (!right) return response(id, 0, 0x4002);
        if (fabricsType == 6) {
            return dataAnd(chap->receive(length), response(id, 0, 0), id);
        }
        if (pdu.size() != 72 + length) return response(id, 0, 0x4002);
        chap->send(Bytes(pdu.begin() + 72, pdu.end()));
        return response(id, 0, 0);
    }
    if (chap && !chap->hasAuthenticated()) return response(id, 0, 0x4191);
    if (opcode == 0x7f) {
        if (fabricsType == 4 && command[44] == 0x1c) return response(id, isReady ? 1 : 0, 0);
        return response(id, 0x10300, 0);
    }
    if (opcode == 6 && command[40] == 1) {
        Bytes identity(4096);
        identity[76] = 0x0a;   // has several controllers, reports ANA
        identity[320] = 1;     // keeps alive
        identity[512] = 0x66;  // sizes of queue entries
        identity[513] = 0x44;
        identity[514] = 128;   // commands
        identity[536] = 0x05;  // SGLs
        identity[538] = 0x10;
        identity[1792] = 4;  // sizes of capsules
        identity[1796] = 1;
        std::memcpy(&identity[78], &connectResult, 2);
        identity[348] = 128;
        const uint32_t namespaces = 1024;
        std::memcpy(&identity[516], &namespaces, 4);
        std::memcpy(&identity[540], &namespaces, 4);
        std::memcpy(&identity[768], nqn_.data(), nqn_.size());
        return dataAnd(identity, response(id, 0, 0), id);
    }
    if (opcode == 6) return dataAnd(Bytes(4096), response(id, 0, 0), id);
    if (opcode == 2) {
        uint16_t dwords = 0;
        std::memcpy(&dwords, command + 42, 2);
        return dataAnd(Bytes((dwords + 1u) * 4), response(id, 0, 0), id);
    }
    return response(id, 0, 0);
}

}  // namespace mooncake::nvmeof_generic
