// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/transport_address.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <utility>

namespace mooncake::nvmeof_generic {
namespace {

TEST(TransportAddress, ReadsEveryField) {
    const auto address =
        parseAddresses("trsvcid=4421  traddr=fe80::1%eth0\ttrtype=rdma adrfam=ipv6 ");
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(address.value(), (TransportAddresses{{"rdma", "ipv6", "fe80::1%eth0", "4421"}}));
    const auto again = parseAddresses(toString(address.value()));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again.value(), address.value());
}

TEST(TransportAddress, HasDefaults) {
    const auto address = parseAddresses("trtype=tcp traddr=127.0.0.1");
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(address.value(), (TransportAddresses{{"tcp", "ipv4", "127.0.0.1", "4420"}}));
}

// Cases 14, 25, 26 and 50: each would otherwise reach configfs, libnvme's option string or a
// resolver.
TEST(TransportAddress, RefusesMalformed) {
    using namespace std::string_literals;
    for (const std::string& text : {
             ""s,
             "   "s,
             "tcp 127.0.0.1 4420"s,
             "trtype=tcp"s,
             "traddr=127.0.0.1"s,
             "trtype=TCP traddr=127.0.0.1"s,
             "trtype=fc traddr=127.0.0.1"s,
             "trtype= traddr=127.0.0.1"s,
             "trtype=tcp trtype=tcp traddr=127.0.0.1"s,
             "trtype=tcp traddr=127.0.0.1 subnqn=x"s,
             "trtype=tcp adrfam=ipv5 traddr=127.0.0.1"s,
             "trtype=tcp adrfam=ipv6 traddr=127.0.0.1"s,
             "trtype=tcp traddr=::1"s,
             "trtype=tcp traddr=localhost"s,
             "trtype=tcp traddr=127.1"s,
             "trtype=tcp traddr=127.0.0.1,nqn=x"s,
             "trtype=tcp traddr=127.0.0.1\n"s,
             "trtype=tcp traddr=127.0.0.1\0"s,
             "trtype=tcp traddr=../127.0.0.1"s,
             "trtype=tcp adrfam=ipv6 traddr=fe80::1%"s,
             "trtype=tcp adrfam=ipv6 traddr=fe80::1%a,b"s,
             "trtype=tcp adrfam=ipv6 traddr=fe80::1%averyverylongname"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=0"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=65536"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=+1"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=-1"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=04420"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=nvme"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid="s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=4420x"s,
             "trtype=tcp traddr=127.0.0.1 trsvcid=99999999999999999999"s,
         }) {
        const auto address = parseAddresses(text);
        ASSERT_FALSE(address.ok()) << text;
        EXPECT_EQ(address.error().code, EINVAL) << text;
        EXPECT_NE(address.error().message.find("expected 'trtype="), std::string::npos) << text;
    }
}

TEST(TransportAddress, ReadsSeveral) {
    const TransportAddress one{"tcp", "ipv4", "192.0.2.10", "4420"},
        two{"tcp", "ipv4", "198.51.100.10", "4420"};
    const std::pair<const char*, TransportAddresses> texts[] = {
        {"trtype=tcp traddr=192.0.2.10,198.51.100.10", {one, two}},
        {"trtype=tcp,tcp trsvcid=4420,4420 traddr=192.0.2.10,198.51.100.10 adrfam=ipv4,ipv4",
         {one, two}},
        {"trtype=tcp,rdma traddr=192.0.2.10,198.51.100.10 trsvcid=4420,4421",
         {one, {"rdma", "ipv4", "198.51.100.10", "4421"}}},
        {"trtype=tcp traddr=192.0.2.10 trsvcid=4420,4421",
         {one, {"tcp", "ipv4", "192.0.2.10", "4421"}}},
        {"trtype=tcp,rdma traddr=192.0.2.10", {one, {"rdma", "ipv4", "192.0.2.10", "4420"}}},
        {"trtype=tcp adrfam=ipv4,ipv6 traddr=192.0.2.10,2001:db8::10",
         {one, {"tcp", "ipv6", "2001:db8::10", "4420"}}}};
    for (const auto& [text, wanted] : texts) {
        const auto addresses = parseAddresses(text);
        ASSERT_TRUE(addresses.ok()) << addresses.error().message;
        EXPECT_EQ(addresses.value(), wanted) << text;
    }
}

TEST(TransportAddress, SaysWhatIsWrongWithSeveral) {
    std::string tooMany = "trtype=tcp traddr=192.0.2.1";
    for (int i = 2; i <= 17; ++i) tooMany += ",192.0.2." + std::to_string(i);
    const std::pair<std::string, const char*> texts[] = {
        {"trtype=tcp traddr=192.0.2.10,", "address ''"},
        {"trtype=tcp traddr=,192.0.2.10", "address ''"},
        {"trtype=tcp traddr=192.0.2.10,node7", "'node7'"},
        {"trtype=tcp traddr=192.0.2.10, 198.51.100.10", "'198.51.100.10'"},
        {"trtype=tcp,udp traddr=192.0.2.10,198.51.100.10", "'udp'"},
        {"trtype=tcp traddr=192.0.2.10,198.51.100.10 trsvcid=4420,0", "'0'"},
        {"trtype=tcp traddr=192.0.2.10,2001:db8::10", "numeric ipv4"},
        {"trtype=tcp traddr=192.0.2.10,198.51.100.10 trsvcid=1,2,3",
         "'traddr=192.0.2.10,198.51.100.10' has 2 values for 3 addresses"},
        {"trtype=tcp traddr=192.0.2.10,192.0.2.10", "given twice"},
        {"trtype=tcp adrfam=ipv6 traddr=2001:db8::10,2001:DB8:0::10", "given twice"},
        {tooMany, "1 to 16"}};
    for (const auto& [text, culprit] : texts) {
        const auto addresses = parseAddresses(text);
        ASSERT_FALSE(addresses.ok()) << text;
        EXPECT_EQ(addresses.error().code, EINVAL);
        EXPECT_NE(addresses.error().message.find(culprit), std::string::npos)
            << addresses.error().message;
        EXPECT_NE(addresses.error().message.find("expected 'trtype="), std::string::npos);
    }
}

TEST(TransportAddress, NamesTheCulprit) {
    const auto address = parseAddresses("trtype=tcp traddr=node7 trsvcid=4420");
    ASSERT_FALSE(address.ok());
    EXPECT_NE(address.error().message.find("'node7'"), std::string::npos);
    EXPECT_NE(address.error().message.find("numeric ipv4"), std::string::npos);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
