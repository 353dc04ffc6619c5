// SPDX-License-Identifier: Apache-2.0
#include "access_options.h"

#include <gmock/gmock.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kAddress[] = "trtype=tcp traddr=127.0.0.1";

TEST(Arguments, AnAddressAlone) {
    TargetOptions target;
    target.allowedHosts = {"nqn.2026-01.org.example:environment"};
    const auto address = readArguments(kAddress, target);
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(address.value().listen, (TransportAddresses{{"tcp", "ipv4", "127.0.0.1", "4420"}}));
    EXPECT_THAT(target.allowedHosts, ElementsAre("nqn.2026-01.org.example:environment"));
}

TEST(Arguments, AnAddressToPublish) {
    TargetOptions target;
    const auto plain = readArguments(kAddress, target);
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(plain.value().published, plain.value().listen);
    const auto other = readArguments(
        "advertise=[2001:db8::10]:30420 trtype=tcp adrfam=ipv6 traddr=fe80::1%eth0", target);
    ASSERT_TRUE(other.ok()) << other.error().message;
    EXPECT_EQ(other.value().listen, (TransportAddresses{{"tcp", "ipv6", "fe80::1%eth0", "4420"}}));
    EXPECT_EQ(other.value().published,
              (TransportAddresses{{"tcp", "ipv6", "2001:db8::10", "30420"}}));
    for (const std::string text : {"trtype=tcp traddr=0.0.0.0", "advertise= trtype=tcp traddr=::1",
                                   "advertise=1.2.3.4 advertise=1.2.3.4 trtype=tcp traddr=10.0.0.1",
                                   "advertise=host trtype=tcp traddr=10.0.0.1"}) {
        EXPECT_FALSE(readArguments(text, target).ok()) << text;
    }
}

TEST(Arguments, SeveralAddresses) {
    TargetOptions target;
    const auto several = readArguments(
        "trtype=tcp traddr=10.0.0.1,10.0.1.1 advertise=192.0.2.10,198.51.100.10:30420", target);
    ASSERT_TRUE(several.ok()) << several.error().message;
    EXPECT_EQ(several.value().listen, (TransportAddresses{{"tcp", "ipv4", "10.0.0.1", "4420"},
                                                          {"tcp", "ipv4", "10.0.1.1", "4420"}}));
    EXPECT_EQ(several.value().published,
              (TransportAddresses{{"tcp", "ipv4", "192.0.2.10", "4420"},
                                  {"tcp", "ipv4", "198.51.100.10", "30420"}}));
    EXPECT_FALSE(
        readArguments("trtype=tcp traddr=10.0.0.1,10.0.1.1 advertise=192.0.2.10", target).ok());
}

TEST(Arguments, TheCheckOfPaths) {
    TargetOptions target;
    ASSERT_TRUE(readArguments(std::string(kAddress) + " path_check=off", target).ok());
    EXPECT_EQ(target.pathCheck, PathCheck::kOff);
    ASSERT_TRUE(readArguments(std::string(kAddress) + " path_check=on", target).ok());
    EXPECT_EQ(target.pathCheck, PathCheck::kOn);
    EXPECT_FALSE(readArguments(std::string(kAddress) + " path_check=no", target).ok());
}

TEST(Arguments, WhoMayConnectAmongTheFieldsOfTheAddress) {
    TargetOptions target;
    target.allowedHosts = {"nqn.2026-01.org.example:environment"};
    const auto address = readArguments(
        "trtype=rdma\tallowed_hosts=nqn.2026-01.org.example:a,nqn.2026-01.org.example:b "
        "traddr=10.0.0.1  trsvcid=4421",
        target);
    ASSERT_TRUE(address.ok()) << address.error().message;
    EXPECT_EQ(address.value().listen, (TransportAddresses{{"rdma", "ipv4", "10.0.0.1", "4421"}}));
    EXPECT_THAT(target.allowedHosts,
                ElementsAre("nqn.2026-01.org.example:a", "nqn.2026-01.org.example:b"));

    TargetOptions other;
    ASSERT_TRUE(readArguments("allowed_hosts_file=/etc/nvme/allowed dhchap_keys=/etc/nvme/keys " +
                                  std::string(kAddress),
                              other)
                    .ok());
    EXPECT_EQ(other.dhchapKeys, "/etc/nvme/keys");
    EXPECT_EQ(other.allowedHostsFile, "/etc/nvme/allowed");
}

// Cases 25, 26 and 50: an error that names the argument, never a list that lets in others, or any
// host, instead.
TEST(Arguments, RefusesMalformedValues) {
    using namespace std::string_literals;
    const std::string nqn = "nqn.2026-01.org.example:a";
    for (const std::string& argument : {
             "allowed_hosts"s,
             "allowed_hosts="s,
             "allowed_hosts=,"s,
             "allowed_hosts=" + nqn + ",",
             "allowed_hosts=," + nqn,
             "allowed_hosts=" + nqn + ",,x",
             "allowed_hosts=" + nqn + ";" + nqn,
             "allowed_hosts=" + nqn + "\n",
             "allowed_hosts=" + nqn + "\0"s,
             "allowed_hosts=" + nqn + "/b",
             "allowed_hosts=.."s,
             "allowed_hosts=any"s,
             "allowed_hosts=*"s,
             "allowed_hosts=nqn.2026-01." + std::string(212, 'a'),
             "allowed_hosts=" + nqn + " allowed_hosts=" + nqn,
             "allowed_hosts_file="s,
             "allowed_hosts_file=relative"s,
             "allowed_hosts_file=/a\nb"s,
             "allowed_hosts_file=/a\0b"s,
             "allowed_hosts_file=/" + std::string(4096, 'a'),
         }) {
        TargetOptions target;
        const auto address = readArguments(kAddress + (" " + argument), target);
        ASSERT_FALSE(address.ok()) << argument;
        EXPECT_EQ(address.error().code, EINVAL);
        EXPECT_THAT(address.error().message, HasSubstr("argument 'allowed_hosts")) << argument;
        EXPECT_EQ(address.error().message.find('\n'), std::string::npos);
        EXPECT_THAT(target.allowedHosts, IsEmpty()) << "changed by what was refused";
        EXPECT_EQ(target.allowedHostsFile, "");
    }
    TargetOptions target;
    EXPECT_TRUE(
        readArguments(kAddress + (" allowed_hosts=nqn.2026-01." + std::string(211, 'a')), target)
            .ok())
        << "223 bytes";
}

// A key in the place of its file is not repeated in the error.
TEST(Arguments, ShowsNoKey) {
    for (const std::string name : {"dhchap_keys=", "dhchap_key=", ""}) {
        TargetOptions target;
        const auto address =
            readArguments(kAddress + (" " + name) + "DHHC-1:00:JTA7RlFcZ3J9iJOe:", target);
        ASSERT_FALSE(address.ok());
        EXPECT_EQ(address.error().message.find("JTA7"), std::string::npos)
            << address.error().message;
    }
}

// Case 50: a mistyped name would otherwise open the target to all.
TEST(Arguments, RefusesUnknownNames) {
    for (const std::string argument :
         {"allow_hosts=nqn.2026-01.org.example:a", "ALLOWED_HOSTS=a", "nqn.2026-01.org.example:a",
          "=x", "allowed_hosts_files=/a"}) {
        TargetOptions target;
        const auto address = readArguments(kAddress + (" " + argument), target);
        ASSERT_FALSE(address.ok()) << argument;
        EXPECT_EQ(address.error().code, EINVAL);
        EXPECT_THAT(address.error().message, HasSubstr("'" + argument + "'"));
        EXPECT_THAT(address.error().message, HasSubstr("allowed_hosts="));
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
