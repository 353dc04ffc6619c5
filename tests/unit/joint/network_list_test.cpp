// SPDX-License-Identifier: Apache-2.0
#include "network_list.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace mooncake::nvmeof_generic {
namespace {

bool contains(const std::string& list, const std::string& address) {
    const auto parsed = NetworkList::parse(list);
    EXPECT_TRUE(parsed.ok()) << list;
    const bool ipv6 = address.find(':') != std::string::npos;
    const TransportAddress full{"tcp", ipv6 ? "ipv6" : "ipv4", address, "4420"};
    EXPECT_TRUE(checkAddress(full).ok()) << address;
    return parsed.ok() && parsed.value().contains(full);
}

TEST(NetworkList, AnEmptyOneStandsForAll) {
    EXPECT_TRUE(NetworkList().contains({"tcp", "ipv4", "192.0.2.1", "4420"}));
    EXPECT_TRUE(NetworkList().contains({"tcp", "ipv6", "fe80::1%eth0", "4420"}));
}

TEST(NetworkList, HoldsWhatLiesInOneOfItsNetworks) {
    const std::string list = "10.1.0.0/16,192.0.2.7,10.2.128.0/17,fd00:1::/32,2001:db8::5";
    for (const char* in : {"10.1.0.0", "10.1.255.255", "192.0.2.7", "10.2.128.1", "10.2.255.255",
                           "fd00:1::", "fd00:1:ffff::9", "2001:db8::5", "2001:db8:0::5%eth1"}) {
        EXPECT_TRUE(contains(list, in)) << in;
    }
    for (const char* out : {"10.0.255.255", "10.2.0.0", "10.2.127.255", "192.0.2.6", "192.0.2.8",
                            "fd00:2::", "2001:db8::6", "::", "127.0.0.1", "10.3.1.1"}) {
        EXPECT_FALSE(contains(list, out)) << out;
    }
}

// Otherwise "::ffff:10.1.2.3" would be a way around a list, or fall through one.
TEST(NetworkList, Ipv4IsTheSameInTheFormOfIpv6) {
    EXPECT_TRUE(contains("10.1.0.0/16", "::ffff:10.1.2.3"));
    EXPECT_FALSE(contains("10.1.0.0/16", "::ffff:10.2.2.3"));
    EXPECT_TRUE(contains("::ffff:10.1.0.0/112", "10.1.2.3"));
    EXPECT_FALSE(contains("::/0", "10.1.2.3"));
    EXPECT_FALSE(contains("::/0", "::ffff:10.1.2.3"));
    EXPECT_FALSE(contains("0.0.0.0/0", "fd00::1"));
    EXPECT_TRUE(contains("0.0.0.0/0,::/0", "fd00::1"));
    EXPECT_TRUE(contains("0.0.0.0/0", "203.0.113.9"));
}

// Case 50
TEST(NetworkList, RefusesWhatIsNoNetwork) {
    for (const std::string text :
         {"", ",", "10.0.0.0/8,", ",10.0.0.0/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/",
          "10.0.0.0/8/8", "10.0.0.1/8", "fd00::1/64", "fd00::/129", "example.org", "10.0.0",
          "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/+8", "10.0.0.0/8x", "fe80::%eth0/64", "any"}) {
        const auto parsed = NetworkList::parse(text);
        ASSERT_FALSE(parsed.ok()) << text;
        EXPECT_EQ(parsed.error().code, EINVAL);
    }
    EXPECT_FALSE(NetworkList::parse(std::string("10.0.0.0\0/8", 11)).ok());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
