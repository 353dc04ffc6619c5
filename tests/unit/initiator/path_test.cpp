// SPDX-License-Identifier: Apache-2.0
#include "path.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "sysfs_nvme.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const TransportAddress kFour{"tcp", "ipv4", "192.0.2.10", "4420"};
const TransportAddress kSix{"tcp", "ipv6", "2001:db8::10", "4420"};

TEST(HostSides, AreInterfacesOrAddresses) {
    const auto sides = parseHostSides("eth1,192.0.2.1,2001:db8::1,bond0.7");
    ASSERT_TRUE(sides.ok()) << sides.error().message;
    EXPECT_THAT(sides.value(), ElementsAre(HostSide{"eth1", ""}, HostSide{"", "192.0.2.1"},
                                           HostSide{"", "2001:db8::1"}, HostSide{"bond0.7", ""}));
    for (const std::string text :
         {"", "eth0,", ",eth0", "eth0,eth0", "eth0 ", "eth0=x", "a/b", "averyverylongname",
          "192.0.2.1,192.0.2.1", "a,b,c,d,e,f,g,h,i"}) {
        const auto refused = parseHostSides(text);
        ASSERT_FALSE(refused.ok()) << text;
        EXPECT_EQ(refused.error().code, EINVAL);
    }
}

TEST(Paths, AreEachAddressFromEachInterface) {
    EXPECT_THAT(pathsOf({kFour, kSix}, {}), ElementsAre(Path{kFour}, Path{kSix}));
    const HostSide one{"eth1", ""}, two{"eth2", ""};
    EXPECT_THAT(pathsOf({kFour, kSix}, {one, two}),
                ElementsAre(Path{kFour, one}, Path{kFour, two}, Path{kSix, one}, Path{kSix, two}));
}

TEST(Paths, LeadFromAnAddressOfTheSameFamily) {
    const HostSide four{"", "192.0.2.1"};
    EXPECT_THAT(pathsOf({kFour, kSix}, {four}), ElementsAre(Path{kFour, four}, Path{kSix}))
        << "where nothing that was named fits, the route decides";
}

TEST(Paths, KnowTheirSource) {
    EXPECT_EQ(sourceAddress({kFour}).value(), "");
    EXPECT_EQ(sourceAddress({kFour, {"", "192.0.2.1"}}).value(), "192.0.2.1");
    const auto loopback = sourceAddress({kFour, {"lo", ""}});
    ASSERT_TRUE(loopback.ok()) << loopback.error().message;
    EXPECT_EQ(loopback.value(), "127.0.0.1");
    const auto nowhere = sourceAddress({kFour, {"nosuchif0", ""}});
    ASSERT_FALSE(nowhere.ok());
    EXPECT_EQ(nowhere.error().code, EADDRNOTAVAIL);
    EXPECT_THAT(nowhere.error().message, HasSubstr("nosuchif0"));
}

// Who does not care from where joins any; who does, only his own.
TEST(Paths, AreToldApartByWhereTheyComeFrom) {
    ControllerInfo controller{"nvme1", "nqn", "tcp", "192.0.2.10",
                              "4420",  "",    "",    ControllerState::kLive};
    EXPECT_TRUE(isOn(controller, {kFour}));
    EXPECT_FALSE(isOn(controller, {kSix}));
    EXPECT_FALSE(isOn(controller, {kFour, {"eth1", ""}}));
    controller.hostInterface = "eth1";
    EXPECT_TRUE(isOn(controller, {kFour}));
    EXPECT_TRUE(isOn(controller, {kFour, {"eth1", ""}}));
    EXPECT_FALSE(isOn(controller, {kFour, {"eth2", ""}}));
    EXPECT_FALSE(isOn(controller, {kFour, {"", "192.0.2.1"}}));
}

// The kernel knows of an RDMA controller's interface by the address alone.
TEST(Paths, OfRdmaAreToldApartByTheInterfacesAddress) {
    const TransportAddress target{"rdma", "ipv4", "192.0.2.10", "4420"};
    ControllerInfo controller{"nvme1", "nqn", "rdma", "192.0.2.10",
                              "4420",  "",    "",     ControllerState::kLive};
    EXPECT_FALSE(isOn(controller, {target, {"lo", ""}}));
    controller.hostTraddr = "127.0.0.1";
    EXPECT_TRUE(isOn(controller, {target, {"lo", ""}}));
    EXPECT_TRUE(isOn(controller, {target, {"", "127.0.0.1"}}));
    EXPECT_FALSE(isOn(controller, {target, {"nosuchif0", ""}}));
    EXPECT_FALSE(isOn(controller, {target, {"", "192.0.2.1"}}));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
