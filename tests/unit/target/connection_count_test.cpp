// SPDX-License-Identifier: Apache-2.0
#include "connection_count.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <vector>

#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

// Sockets of this test, as this machine's kernel shows them.
template <class Address>
void countsConnections(int family, Address at, const std::string& adrfam, const std::string& traddr,
                       const std::string& any) {
    const UniqueFd listener(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    socklen_t length = sizeof(at);
    auto* const address = reinterpret_cast<sockaddr*>(&at);
    if (bind(listener.get(), address, length) != 0) GTEST_SKIP() << "no " << adrfam;
    ASSERT_EQ(listen(listener.get(), 8), 0);
    ASSERT_EQ(getsockname(listener.get(), address, &length), 0);
    const uint16_t port =
        ntohs(family == AF_INET ? reinterpret_cast<sockaddr_in*>(&at)->sin_port
                                : reinterpret_cast<sockaddr_in6*>(&at)->sin6_port);
    const TransportAddress wanted{"tcp", adrfam, traddr, std::to_string(port)};
    EXPECT_EQ(countTcpConnections(wanted), 0u) << "a listener is no connection";
    std::vector<UniqueFd> connected;
    for (uint64_t i = 1; i <= 3; ++i) {
        connected.emplace_back(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(connect(connected.back().get(), address, length), 0);
        EXPECT_EQ(countTcpConnections(wanted), i) << "the other end is not counted";
    }
    EXPECT_EQ(countTcpConnections({"tcp", adrfam, any, wanted.trsvcid}), 3u);
    EXPECT_EQ(countTcpConnections({"rdma", adrfam, traddr, wanted.trsvcid}), std::nullopt);
}

TEST(ConnectionCount, Ipv4) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    countsConnections(AF_INET, at, "ipv4", "127.0.0.1", "0.0.0.0");
}

TEST(ConnectionCount, Ipv6) {
    sockaddr_in6 at{};
    at.sin6_family = AF_INET6;
    at.sin6_addr = in6addr_loopback;
    countsConnections(AF_INET6, at, "ipv6", "::1", "::");
}

TEST(ConnectionCount, NothingWhereTheKernelDoesNotTell) {
    TempDir dir;
    EXPECT_EQ(countTcpConnections({"tcp", "ipv4", "127.0.0.1", "4420"}, dir.path()), std::nullopt);
    EXPECT_EQ(countControllers("nqn", dir.path()), std::nullopt);
    const std::string folder = dir.path() + "/kernel/debug/nvmet/nqn";
    std::filesystem::create_directories(folder);
    EXPECT_TRUE(countControllers("nqn", dir.path())->empty());
    for (const auto& [name, host] : {std::pair{"ctrl1", "a"}, {"ctrl2", "b"}, {"ctrl3", "a"}}) {
        std::filesystem::create_directories(folder + "/" + name);
        std::ofstream(folder + "/" + name + "/hostnqn") << host << '\n';
    }
    EXPECT_EQ(*countControllers("nqn", dir.path()),
              (std::map<std::string, uint64_t>{{"a", 2}, {"b", 1}}));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
