// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/advertised_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

const TransportAddress kListen{"tcp", "ipv4", "10.0.0.1", "4420"};

TEST(AdvertisedAddress, IsTheOneItListensAtWithoutAnother) {
    for (const TransportAddress& listen :
         {kListen, TransportAddress{"rdma", "ipv6", "2001:db8::1", "1"},
          TransportAddress{"tcp", "ipv4", "127.0.0.1", "1"}}) {
        const auto published = publishedAddress(listen, "");
        ASSERT_TRUE(published.ok()) << published.error().message;
        EXPECT_EQ(published.value(), listen);
    }
}

TEST(AdvertisedAddress, MustBeGivenWhereTheListenersMeansNothingToOthers) {
    for (const auto& [adrfam, traddr] :
         {std::pair("ipv4", "0.0.0.0"), std::pair("ipv6", "::"), std::pair("ipv6", "0:0::0"),
          std::pair("ipv6", "::%eth0"), std::pair("ipv6", "::ffff:0.0.0.0"),
          std::pair("ipv6", "fe80::1%eth0")}) {
        const TransportAddress listen{"tcp", adrfam, traddr, "4420"};
        const auto published = publishedAddress(listen, "");
        ASSERT_FALSE(published.ok()) << traddr;
        EXPECT_EQ(published.error().code, EINVAL);
        EXPECT_THAT(published.error().message, testing::HasSubstr("advertise="));
        EXPECT_TRUE(publishedAddress(listen, "192.0.2.1").ok()) << traddr;
    }
}

TEST(AdvertisedAddress, TakesEitherFamilyAndAPort) {
    const auto expect = [](std::string_view text, const char* adrfam, const char* traddr,
                           const char* port) {
        const auto published = publishedAddress(kListen, text);
        ASSERT_TRUE(published.ok()) << published.error().message;
        EXPECT_EQ(published.value(), (TransportAddress{"tcp", adrfam, traddr, port})) << text;
    };
    expect("192.0.2.10", "ipv4", "192.0.2.10", "4420");
    expect("192.0.2.10:30420", "ipv4", "192.0.2.10", "30420");
    expect("2001:db8::10", "ipv6", "2001:db8::10", "4420");
    expect("[2001:db8::10]", "ipv6", "2001:db8::10", "4420");
    expect("[2001:db8::10]:1", "ipv6", "2001:db8::10", "1");
}

TEST(AdvertisedAddress, RefusesWhatOthersCannotUse) {
    for (const std::string_view text : {"0.0.0.0",
                                        "::",
                                        "[::]:1",
                                        "fe80::1%eth0",
                                        "[fe80::1%eth0]:1",
                                        "host",
                                        "host:1",
                                        "192.0.2.10:",
                                        "192.0.2.10:0",
                                        "192.0.2.10:65536",
                                        "192.0.2.10:x",
                                        "192.0.2.10 :1",
                                        ":1",
                                        "[192.0.2.10]:1",
                                        "[2001:db8::10",
                                        "[2001:db8::10]1",
                                        "[2001:db8::10]:",
                                        "[",
                                        "[]",
                                        "]",
                                        ":",
                                        "1.2.3",
                                        "192.0.2.10:1:2",
                                        "2001:db8::10]:1"}) {
        const auto published = publishedAddress(kListen, text);
        ASSERT_FALSE(published.ok()) << text;
        EXPECT_EQ(published.error().code, EINVAL);
        EXPECT_THAT(published.error().message, testing::HasSubstr("advertise"));
    }
}

TEST(AdvertisedAddress, OneForEach) {
    const TransportAddresses listen{{"tcp", "ipv4", "10.0.0.1", "4420"},
                                    {"rdma", "ipv6", "fe80::1%eth0", "4421"}};
    const auto published = publishedAddresses(listen, "192.0.2.10,[2001:db8::10]:1");
    ASSERT_TRUE(published.ok()) << published.error().message;
    EXPECT_EQ(published.value(), (TransportAddresses{{"tcp", "ipv4", "192.0.2.10", "4420"},
                                                     {"rdma", "ipv6", "2001:db8::10", "1"}}));
    for (const char* text :
         {"", "192.0.2.10", "192.0.2.10,", ",2001:db8::10", "192.0.2.10,2001:db8::10,192.0.2.11"}) {
        const auto refused = publishedAddresses(listen, text);
        ASSERT_FALSE(refused.ok()) << text;
        EXPECT_EQ(refused.error().code, EINVAL);
    }
    EXPECT_FALSE(publishedAddresses({listen[0], {"tcp", "ipv4", "10.0.0.2", "4420"}},
                                    "192.0.2.10,192.0.2.10")
                     .ok())
        << "the same for two";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
