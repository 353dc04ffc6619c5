// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/transport_address.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace mooncake::nvmeof_generic {
namespace {

TEST(TransportAddress, ReadsEveryField) {
    const auto address =
        parseAddress("trsvcid=4421  traddr=fe80::1%eth0\ttrtype=rdma adrfam=ipv6 ");
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(address.value(), (TransportAddress{"rdma", "ipv6", "fe80::1%eth0", "4421"}));
    const auto again = parseAddress(toString(address.value()));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again.value(), address.value());
}

TEST(TransportAddress, HasDefaults) {
    const auto address = parseAddress("trtype=tcp traddr=127.0.0.1");
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(address.value(), (TransportAddress{"tcp", "ipv4", "127.0.0.1", "4420"}));
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
        const auto address = parseAddress(text);
        ASSERT_FALSE(address.ok()) << text;
        EXPECT_EQ(address.error().code, EINVAL) << text;
        EXPECT_NE(address.error().message.find("expected 'trtype="), std::string::npos) << text;
    }
}

TEST(TransportAddress, NamesTheCulprit) {
    const auto address = parseAddress("trtype=tcp traddr=node7 trsvcid=4420");
    ASSERT_FALSE(address.ok());
    EXPECT_NE(address.error().message.find("'node7'"), std::string::npos);
    EXPECT_NE(address.error().message.find("numeric ipv4"), std::string::npos);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
