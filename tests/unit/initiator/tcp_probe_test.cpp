// SPDX-License-Identifier: Apache-2.0
#include "tcp_probe.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;
using Pdu = std::array<unsigned char, 128>;

Pdu icResp() {
    Pdu pdu{};
    pdu[0] = 0x01;
    pdu[2] = 128;
    pdu[4] = 128;
    return pdu;
}

// A listener on a free port of the loopback interface.
class Listener {
 public:
    explicit Listener(int family = AF_INET)
        : family_(family), fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_storage storage{};
        socklen_t length = 0;
        if (family == AF_INET) {
            auto* ipv4 = reinterpret_cast<sockaddr_in*>(&storage);
            ipv4->sin_family = AF_INET;
            ipv4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            length = sizeof(*ipv4);
        } else {
            auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&storage);
            ipv6->sin6_family = AF_INET6;
            ipv6->sin6_addr = in6addr_loopback;
            length = sizeof(*ipv6);
        }
        auto* address = reinterpret_cast<sockaddr*>(&storage);
        if (bind(fd_.get(), address, length) != 0 || listen(fd_.get(), 8) != 0 ||
            getsockname(fd_.get(), address, &length) != 0) {
            return;
        }
        port_ = family == AF_INET ? ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port)
                                  : ntohs(reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port);
    }
    bool ok() const { return port_ != 0; }
    TransportAddress address() const {
        return family_ == AF_INET ? TransportAddress{"tcp", "ipv4", "127.0.0.1", port()}
                                  : TransportAddress{"tcp", "ipv6", "::1", port()};
    }
    UniqueFd accept() const { return UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
    void close() { fd_.reset(); }

 private:
    std::string port() const { return std::to_string(port_); }
    const int family_;
    UniqueFd fd_;
    uint16_t port_ = 0;
};

Result<> probe(const TransportAddress& address, std::chrono::milliseconds limit = 30s) {
    return probeTcpTarget(address, Clock::now() + limit, {});
}

// Probes a listener whose answer to the ICReq is `answer`, in pieces; then it closes.
Result<> probeWithAnswer(const Listener& listener, const std::vector<std::string>& pieces,
                         Pdu* request = nullptr) {
    std::thread server([&] {
        const UniqueFd peer = listener.accept();
        Pdu pdu{};
        ASSERT_EQ(recv(peer.get(), pdu.data(), pdu.size(), MSG_WAITALL), 128);
        if (request != nullptr) *request = pdu;
        for (const std::string& piece : pieces) {
            ASSERT_EQ(send(peer.get(), piece.data(), piece.size(), MSG_NOSIGNAL),
                      static_cast<ssize_t>(piece.size()));
        }
    });
    auto result = probe(listener.address());
    server.join();
    return result;
}

std::string toText(const Pdu& pdu) {
    return {reinterpret_cast<const char*>(pdu.data()), pdu.size()};
}

TEST(TcpProbe, AcceptsAnNvmeTarget) {
    for (const int family : {AF_INET, AF_INET6}) {
        const Listener listener(family);
        ASSERT_TRUE(listener.ok());
        Pdu request{};
        const auto probed = probeWithAnswer(listener, {toText(icResp())}, &request);
        EXPECT_TRUE(probed.ok()) << probed.error().message;
        Pdu expected{};
        expected[2] = 128;
        expected[4] = 128;
        EXPECT_EQ(request, expected);
    }
}

TEST(TcpProbe, AcceptsAnAnswerInPieces) {
    const Listener listener;
    const std::string pdu = toText(icResp());
    const auto probed =
        probeWithAnswer(listener, {pdu.substr(0, 1), pdu.substr(1, 100), pdu.substr(101)});
    EXPECT_TRUE(probed.ok()) << probed.error().message;
}

TEST(TcpProbe, RefusesOtherServices) {
    const Listener listener;
    EXPECT_EQ(probeWithAnswer(listener, {"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"}).error().code,
              EPROTO);
    Pdu bad = icResp();
    bad[5] = 1;  // PLEN
    EXPECT_EQ(probeWithAnswer(listener, {toText(bad)}).error().code, EPROTO);
    EXPECT_EQ(probeWithAnswer(listener, {}).error().code, ECONNRESET);
    EXPECT_EQ(probeWithAnswer(listener, {toText(icResp()).substr(0, 20)}).error().code, ECONNRESET);
}

// Case 29: a refusing peer.
TEST(TcpProbe, SaysThatNobodyListens) {
    Listener listener;
    const TransportAddress address = listener.address();
    listener.close();
    EXPECT_EQ(probe(address).error().code, ECONNREFUSED);
}

// Case 29: a silent peer. The kernel itself would wait 10 s and hold all other connects up.
TEST(TcpProbe, EndsAtTheDeadlineWithASilentPeer) {
    const Listener listener;
    for (const auto limit : {20ms, 0ms}) {
        std::stop_source stop;
        auto probed = std::async(std::launch::async, [&] {
            return probeTcpTarget(listener.address(), Clock::now() + limit, stop.get_token());
        });
        probed.wait_for(20s);
        stop.request_stop();  // has an effect only if it did not end
        EXPECT_EQ(probed.get().error().code, ETIMEDOUT);
    }
}

TEST(TcpProbe, EndsWhenStopped) {
    const Listener listener;
    std::stop_source stop;
    std::thread probing([&] {
        const auto probed =
            probeTcpTarget(listener.address(), Clock::now() + 60s, stop.get_token());
        EXPECT_EQ(probed.error().code, ECANCELED);
    });
    const UniqueFd peer = listener.accept();  // it is under way
    stop.request_stop();
    probing.join();
}

TEST(TcpProbe, SaysThatAnInterfaceIsMissing) {
    const TransportAddress address{"tcp", "ipv6", "fe80::1%nosuchif0", "4420"};
    EXPECT_EQ(probe(address).error().code, EADDRNOTAVAIL);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
