// SPDX-License-Identifier: Apache-2.0
// A connection belongs to an address, an NQN and one segment.
#include "path_rule.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "controller_node.h"
#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const TransportAddress kEvil{"tcp", "ipv4", "198.51.100.66", "4420"};

class PathRuleTest : public testing::Test {
 protected:
    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::unique_ptr<Initiator> initiator = makeInitiator(host, fabrics);

    Error errorOf(const TransportAddress& address, const std::string& nqn = kNqn) {
        const auto connected = initiator->connect(address, nqn);
        return connected.ok() ? Error{0, {}} : connected.error();
    }
};

// A node that publishes another one's NQN with its own address.
TEST_F(PathRuleTest, ASegmentWithAnothersNqnGetsNothing) {
    for (const auto& [first, second] : {std::pair(kEvil, kAddress), std::pair(kAddress, kEvil)}) {
        const auto connection = initiator->connect(first, kNqn);
        ASSERT_TRUE(connection.ok()) << connection.error().message;
        const int before = fabrics->connects;
        const Error error = errorOf(second);
        EXPECT_EQ(error.code, EADDRINUSE);
        EXPECT_THAT(error.message, HasSubstr(first.traddr));
        EXPECT_THAT(error.message, HasSubstr(second.traddr));
        EXPECT_THAT(error.message, HasSubstr("nvme disconnect -d nvme0"));
        EXPECT_EQ(fabrics->connects, before) << "the kernel was not asked";
    }
    EXPECT_TRUE(initiator->connect(kEvil, kNqn).ok()) << "when the other one has gone";
}

// Two names for one node: the same NQN at the same address.
TEST_F(PathRuleTest, OneSegmentUnderTwoNamesIsShared) {
    const TransportAddress one{"tcp", "ipv6", "2001:db8::1", "4420"},
        same{"tcp", "ipv6", "2001:db8:0:0::1", "4420"};
    const auto first = initiator->connect(one, kNqn);
    const auto second = initiator->connect(same, kNqn);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first.value(), second.value());
    EXPECT_EQ(fabrics->connects, 1);
}

// With whatever host NQN, in whatever state: the kernel makes it a path of the same disks.
TEST_F(PathRuleTest, AControllerElsewhereIsNotJoined) {
    for (const char* state : {"live", "connecting", "resetting", "new"}) {
        for (const auto& hostNqn : {kHostNqn, std::string("nqn.2014-08.org.nvmexpress:other")}) {
            for (const char* address : {"traddr=198.51.100.66,trsvcid=4420",
                                        "traddr=192.0.2.7,trsvcid=4421", "0000:01:00.0"}) {
                host.addController(
                    {.name = "nvme3", .address = address, .state = state, .hostNqn = hostNqn});
                EXPECT_EQ(errorOf(kAddress).code, EADDRINUSE) << state << address;
                host.removeController("nvme3");
            }
        }
    }
    host.addController({.name = "nvme3", .transport = "rdma"});
    EXPECT_EQ(errorOf(kAddress).code, EADDRINUSE);
    EXPECT_EQ(fabrics->connects, 0);
    host.removeController("nvme3");
    host.addController(
        {.name = "nvme3", .nqn = kOtherNqn, .address = "traddr=198.51.100.66,trsvcid=4420"});
    EXPECT_EQ(errorOf(kAddress).code, 0) << "another subsystem is nobody's path";
}

TEST_F(PathRuleTest, AFoundControllerIsNotTakenUpBesideOneElsewhere) {
    host.addController({.name = "nvme1"});
    host.addController({.name = "nvme3", .address = "traddr=198.51.100.66,trsvcid=4420"});
    EXPECT_EQ(errorOf(kAddress).code, EADDRINUSE);
}

// One that is being deleted goes by itself.
TEST_F(PathRuleTest, OneThatIsGoingIsWaitedFor) {
    host.addController(
        {.name = "nvme3", .address = "traddr=198.51.100.66,trsvcid=4420", .state = "deleting"});
    std::thread going([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        host.removeController("nvme3");
    });
    EXPECT_EQ(errorOf(kAddress).code, 0);
    going.join();
}

// Another program connects between the look and the kernel's answer.
TEST_F(PathRuleTest, OneThatCameMeanwhileIsSeenAfterwards) {
    fabrics->onAddress = [&](const TransportAddress&) {
        host.addController({.name = "nvme9",
                            .address = "traddr=198.51.100.66,trsvcid=4420",
                            .hostNqn = "nqn.2014-08.org.nvmexpress:other"});
    };
    EXPECT_EQ(errorOf(kAddress).code, EADDRINUSE);
    EXPECT_EQ(fabrics->made, 1);
    EXPECT_EQ(fabrics->disconnects, 1) << "ours was taken down";
    EXPECT_FALSE(fs::exists(host.controllerDir("nvme0")));
    EXPECT_TRUE(fs::exists(host.controllerDir("nvme9")));
}

// A target's own word in Identify Controller is the name that the kernel knows it by.
TEST_F(PathRuleTest, ATargetThatTakesAnothersNameIsTakenDown) {
    const auto victim = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(victim.ok());
    fabrics->claimsToBe = kNqn;
    const Error error = errorOf(kEvil, kOtherNqn);
    EXPECT_EQ(error.code, EPROTO);
    EXPECT_THAT(error.message, HasSubstr(kOtherNqn));
    EXPECT_THAT(error.message, HasSubstr("says that it is '" + kNqn));
    EXPECT_FALSE(fs::exists(host.controllerDir("nvme1")));
    EXPECT_TRUE(fs::exists(host.controllerDir("nvme0")));
}

// All addresses of one segment are its paths: the rule has one place where they are named.
TEST(PathRule, KnowsSeveralAddressesOfASegment) {
    ControllerInfo controller{"nvme1", kNqn,     "tcp",   "198.51.100.66",
                              "4420",  kHostNqn, kHostId, ControllerState::kLive};
    EXPECT_EQ(findStranger({controller}, kNqn, {kAddress, kEvil}), nullptr);
    EXPECT_NE(findStranger({controller}, kNqn, {kAddress}), nullptr);
    EXPECT_NE(connectionKey(kNqn, {kAddress}), connectionKey(kNqn, {kEvil}));
    EXPECT_NE(connectionKey(kNqn, {kAddress}), connectionKey(kOtherNqn, {kAddress}));
}

// The node is looked for where the options say.
TEST(ControllerNode, IsTheControllersOwn) {
    FakeHost host;
    host.addController({.name = "nvme0"});
    const UniqueFd dir(::open(host.controllerDir("nvme0").c_str(), O_RDONLY | O_DIRECTORY));
    FakeHost::write(host.dev() / "nvme0", "");
    FakeHost::write(host.controllerDir("nvme0") / "dev", "0:0");  // of a regular file
    EXPECT_TRUE(openControllerNode(host.dev(), dir.get(), "nvme0").valid());
    EXPECT_FALSE(openControllerNode(host.etc(), dir.get(), "nvme0").valid());
    FakeHost::write(host.controllerDir("nvme0") / "dev", "240:0");
    EXPECT_FALSE(openControllerNode(host.dev(), dir.get(), "nvme0").valid()) << "another one's";
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
