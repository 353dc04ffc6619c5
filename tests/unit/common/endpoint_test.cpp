// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/endpoint.h"

#include <gtest/gtest.h>

namespace mooncake::nvmeof_generic {
namespace {

TEST(Endpoint, IsTheSameHoweverItIsWritten) {
    const TransportAddress six{"tcp", "ipv6", "::1", "4420"};
    EXPECT_TRUE(sameEndpoint(six, {"tcp", "ipv6", "0:0:0:0:0:0:0:1", "4420"}));
    EXPECT_TRUE(
        sameEndpoint({"tcp", "ipv6", "FE80::A%eth0", "1"}, {"tcp", "ipv6", "fe80::a%eth0", "1"}));
    EXPECT_FALSE(
        sameEndpoint({"tcp", "ipv6", "fe80::a%eth0", "1"}, {"tcp", "ipv6", "fe80::a%eth1", "1"}));
    EXPECT_FALSE(sameEndpoint(six, {"rdma", "ipv6", "::1", "4420"}));
    EXPECT_FALSE(sameEndpoint(six, {"tcp", "ipv6", "::1", "4421"}));
    EXPECT_FALSE(sameEndpoint(six, {"tcp", "ipv6", "::2", "4420"}));
    EXPECT_FALSE(sameEndpoint({"tcp", "ipv4", "10.0.0.1", "1"}, {"tcp", "ipv4", "10.0.0.2", "1"}));
    EXPECT_FALSE(sameEndpoint({"", "", "", ""}, {"", "", "", ""}));  // a port without an address
}

TEST(Endpoint, CollidesWithTheSameOneAndWithEveryAddress) {
    const TransportAddress one{"tcp", "ipv4", "127.0.0.1", "4420"};
    EXPECT_TRUE(collide(one, one));
    EXPECT_TRUE(collide(one, {"tcp", "ipv4", "0.0.0.0", "4420"}));
    EXPECT_TRUE(collide({"tcp", "ipv6", "::", "4420"}, one));
    EXPECT_FALSE(collide(one, {"tcp", "ipv4", "127.0.0.2", "4420"}));
    EXPECT_FALSE(collide(one, {"tcp", "ipv4", "0.0.0.0", "4421"}));
    EXPECT_FALSE(collide(one, {"rdma", "ipv4", "127.0.0.1", "4420"}));
    EXPECT_FALSE(collide(one, {"tcp", "", "", "4420"}));
}

TEST(Endpoint, KnowsLoopback) {
    EXPECT_TRUE(isLoopback({"tcp", "ipv4", "127.8.0.1", "1"}));
    EXPECT_TRUE(isLoopback({"tcp", "ipv6", "0::1", "1"}));
    EXPECT_FALSE(isLoopback({"tcp", "ipv4", "10.0.0.1", "1"}));
    EXPECT_FALSE(isLoopback({"tcp", "ipv4", "0.0.0.0", "1"}));
    EXPECT_FALSE(isLoopback({"tcp", "ipv6", "::", "1"}));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
