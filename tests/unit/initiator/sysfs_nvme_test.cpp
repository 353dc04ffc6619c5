// SPDX-License-Identifier: Apache-2.0
#include "sysfs_nvme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <tuple>
#include <utility>

#include "fake_host.h"
#include "path_rule.h"
#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;

class SysfsNvmeTest : public testing::Test {
 protected:
    FakeHost host;
    SysfsNvme sysfs{host.sys()};

    Result<std::string> find(const std::string& controller, uint32_t nsid) {
        auto dir = sysfs.openController(controller);
        if (!dir.ok()) return dir.error();
        return sysfs.findNamespace(dir.value().get(), controller, nsid);
    }
};

TEST_F(SysfsNvmeTest, DescribesControllers) {
    host.addController({.name = "nvme3"});
    const auto all = sysfs.controllers();
    ASSERT_TRUE(all.ok()) << all.error().message;
    ASSERT_EQ(all.value().size(), 1u);
    const ControllerInfo& controller = all.value()[0];
    EXPECT_EQ(controller.name, "nvme3");
    EXPECT_EQ(controller.subsystemNqn, kNqn);
    EXPECT_EQ(controller.trtype, "tcp");
    EXPECT_EQ(controller.traddr, "192.0.2.7");
    EXPECT_EQ(controller.trsvcid, "4420");
    EXPECT_EQ(controller.hostNqn, kHostNqn);
    EXPECT_EQ(controller.hostId, kHostId);
    EXPECT_EQ(controller.state, ControllerState::kLive);
}

// The kernel panics where it is read in the moment in which a connection is let go of.
TEST_F(SysfsNvmeTest, TheAddressFileIsReadForTheSourceAlone) {
    host.addController(
        {.name = "nvme3",
         .address = "traddr=192.0.2.7,trsvcid=4420,host_traddr=192.0.2.1,host_iface=eth1"});
    fs::remove(host.controllerDir("nvme3") / "address");
    const auto all = sysfs.controllers();
    ASSERT_TRUE(all.ok()) << all.error().message;
    const ControllerInfo& controller = all.value().at(0);
    EXPECT_EQ(controller.traddr, "192.0.2.7");
    EXPECT_EQ(controller.trsvcid, "4420");
    EXPECT_EQ(controller.hostTraddr, "192.0.2.1");
    EXPECT_EQ(controller.hostInterface, "eth1");
    host.addController({.name = "nvme4"});
    const auto dir = sysfs.openController("nvme4");
    ASSERT_TRUE(dir.ok());
    EXPECT_EQ(SysfsNvme::readSourceAddress(dir.value().get()), "192.0.2.1");
}

TEST_F(SysfsNvmeTest, KnowsTheKernelsStates) {
    const std::pair<const char*, ControllerState> states[] = {
        {"live", ControllerState::kLive},           {"new", ControllerState::kRestoring},
        {"resetting", ControllerState::kRestoring}, {"connecting", ControllerState::kConnecting},
        {"deleting", ControllerState::kGoing},      {"deleting (no IO)", ControllerState::kGoing},
        {"dead", ControllerState::kGoing}};
    host.addController({.name = "nvme0"});
    for (const auto& [text, state] : states) {
        host.setState("nvme0", text);
        const auto all = sysfs.controllers();
        ASSERT_TRUE(all.ok());
        EXPECT_EQ(all.value().at(0).state, state) << text;
    }
}

TEST_F(SysfsNvmeTest, NoNvmeClassMeansNoController) {
    fs::remove_all(host.sys() / "class");
    const auto all = sysfs.controllers();
    ASSERT_TRUE(all.ok());
    EXPECT_TRUE(all.value().empty());
}

TEST_F(SysfsNvmeTest, APcieControllerHasNoFabricsAddress) {
    host.addController({.name = "nvme0", .transport = "pcie", .address = "0000:00:04.0"});
    const auto all = sysfs.controllers();
    ASSERT_TRUE(all.ok());
    EXPECT_EQ(all.value().at(0).traddr, "");
    EXPECT_FALSE(isPath(all.value().at(0), kNqn, {kAddress}));
}

TEST_F(SysfsNvmeTest, ComparesAddressesAsNumbers) {
    ControllerInfo controller{.name = "nvme0",
                              .subsystemNqn = kNqn,
                              .trtype = "tcp",
                              .traddr = "2001:db8:0:0::1",
                              .trsvcid = "4420",
                              .hostNqn = {},
                              .hostId = {},
                              .state = ControllerState::kLive};
    const TransportAddress address{"tcp", "ipv6", "2001:0DB8::1", "4420"};
    EXPECT_TRUE(isPath(controller, kNqn, {address}));
    EXPECT_FALSE(isPath(controller, kOtherNqn, {address}));
    EXPECT_FALSE(isPath(controller, kNqn, {{"rdma", "ipv6", "2001:db8::1", "4420"}}));
    EXPECT_FALSE(isPath(controller, kNqn, {{"tcp", "ipv6", "2001:db8::1", "4421"}}));
    EXPECT_FALSE(isPath(controller, kNqn, {{"tcp", "ipv6", "2001:db8::2", "4420"}}));
    controller.traddr = "fe80::1%eth0";
    EXPECT_TRUE(isPath(controller, kNqn, {{"tcp", "ipv6", "fe80:0::1%eth0", "4420"}}));
    EXPECT_FALSE(isPath(controller, kNqn, {{"tcp", "ipv6", "fe80::1%eth1", "4420"}}));
}

// Case 35: a controller vanishes during a look.
TEST_F(SysfsNvmeTest, LeavesOutWhatIsHalfGone) {
    for (const char* missing : {"subsysnqn", "transport", "state"}) {
        host.addController({.name = "nvme0"});
        host.addController({.name = "nvme1", .nqn = kOtherNqn});
        fs::remove(host.controllerDir("nvme0") / missing);
        const auto all = sysfs.controllers();
        ASSERT_TRUE(all.ok()) << missing << ": " << all.error().message;
        ASSERT_EQ(all.value().size(), 1u) << missing;
        EXPECT_EQ(all.value()[0].name, "nvme1");
        host.removeController("nvme0");
        host.removeController("nvme1");
    }
}

// Case 35: so does its subsystem, between the look at the list and that into its folder.
TEST_F(SysfsNvmeTest, PassesOverASubsystemThatVanishes) {
    host.addController({.name = "nvme0"});
    fs::create_directories(host.sys() / "class/nvme-subsystem");
    const auto vanished = [&](int number) {
        fs::create_symlink("gone", host.subsystemDir("nvme-subsys" + std::to_string(number)));
    };
    vanished(0);
    EXPECT_EQ(find("nvme0", 7).error().code, ENXIO);
    host.addSubsystem("nvme-subsys1", kNqn, "nvme0");
    host.addDisk(host.subsystemDir("nvme-subsys1"), kNqn, {.name = "nvme1n1", .nsid = 7});
    vanished(2);
    const auto found = find("nvme0", 7);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found.value(), "nvme1n1");
}

// Case 35: the same with real races.
TEST_F(SysfsNvmeTest, SurvivesControllersThatComeAndGo) {
    host.addController({.name = "nvme9", .nqn = kOtherNqn});
    std::atomic<bool> done{false};
    std::thread changer([&] {
        while (!done) {
            host.addController({.name = "nvme0"});
            host.addDisk(host.controllerDir("nvme0"), kNqn, {.name = "nvme0n1", .nsid = 7});
            host.removeController("nvme0");
        }
    });
    for (int i = 0; i < 300; ++i) {
        const auto all = sysfs.controllers();
        ASSERT_TRUE(all.ok()) << all.error().message;
        ASSERT_THAT(all.value().size(), testing::AnyOf(1u, 2u));
        for (const auto& controller : all.value()) {
            EXPECT_EQ(controller.subsystemNqn, controller.name == "nvme9" ? kOtherNqn : kNqn);
        }
        if (const auto found = find("nvme0", 7); found.ok()) {
            EXPECT_EQ(found.value(), "nvme0n1");
        } else {
            EXPECT_TRUE(isGone(found.error().code)) << found.error().message;
        }
    }
    done = true;
    changer.join();
}

TEST_F(SysfsNvmeTest, AnOpenedFolderStaysWithItsController) {
    host.addController({.name = "nvme0"});
    const auto dir = sysfs.openController("nvme0");
    ASSERT_TRUE(dir.ok());
    host.removeController("nvme0");
    host.addController({.name = "nvme0", .nqn = kOtherNqn});
    const auto info = SysfsNvme::describeController(dir.value().get(), "nvme0");
    ASSERT_FALSE(info.ok());
    EXPECT_TRUE(isGone(info.error().code));
}

TEST_F(SysfsNvmeTest, FindsTheDeviceOfAControllerWithoutMultipath) {
    host.addController({.name = "nvme2"});
    host.addSubsystem("nvme-subsys5", kNqn, "nvme2");
    host.addDisk(host.controllerDir("nvme2"), kNqn, {.name = "nvme2n1", .nsid = 40});
    // The number in the name is the order of creation: here it is another one's nsid.
    host.addDisk(host.controllerDir("nvme2"), kNqn, {.name = "nvme2n40", .nsid = 3, .minor = 2});
    const auto found = find("nvme2", 40);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found.value(), "nvme2n1");
    EXPECT_EQ(find("nvme2", 3).value(), "nvme2n40");
}

TEST_F(SysfsNvmeTest, FindsTheSubsystemsDeviceWithMultipathAndNeverTheHiddenPath) {
    host.addController({.name = "nvme2"});
    host.addSubsystem("nvme-subsys5", kNqn, "nvme2");
    host.addDisk(host.controllerDir("nvme2"), kNqn, {.name = "nvme5c2n1", .nsid = 40});
    EXPECT_EQ(find("nvme2", 40).error().code, ENXIO);
    host.addDisk(host.subsystemDir("nvme-subsys5"), kNqn,
                 {.name = "nvme5n1", .nsid = 40, .minor = 2});
    const auto found = find("nvme2", 40);
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found.value(), "nvme5n1");
    EXPECT_EQ(find("nvme2", 41).error().code, ENXIO);
}

TEST_F(SysfsNvmeTest, TakesNoDeviceOfAnotherSubsystem) {
    host.addController({.name = "nvme2"});
    host.addController({.name = "nvme3", .nqn = kOtherNqn});
    host.addSubsystem("nvme-subsys5", kNqn, "nvme2");
    host.addSubsystem("nvme-subsys6", kOtherNqn, "nvme3");
    // A subsystem of the same NQN to which our controller does not belong: another host's.
    host.addSubsystem("nvme-subsys7", kNqn, "nvme3");
    host.addDisk(host.subsystemDir("nvme-subsys6"), kOtherNqn, {.name = "nvme6n1", .nsid = 40});
    host.addDisk(host.subsystemDir("nvme-subsys7"), kNqn,
                 {.name = "nvme7n1", .nsid = 40, .minor = 2});
    host.addDisk(host.controllerDir("nvme3"), kOtherNqn,
                 {.name = "nvme3n1", .nsid = 40, .minor = 3});
    EXPECT_EQ(find("nvme2", 40).error().code, ENXIO);
}

TEST_F(SysfsNvmeTest, TakesNoPartitionAndNoCharacterDevice) {
    host.addController({.name = "nvme2"});
    for (const char* name : {"ng2n1", "nvme2n1p1", "nvme2n", "nvmen1", "nvme2", "hwmon0"}) {
        host.addDisk(host.controllerDir("nvme2"), kNqn, {.name = name, .nsid = 40});
    }
    EXPECT_EQ(find("nvme2", 40).error().code, ENXIO);
}

TEST_F(SysfsNvmeTest, SetsThePolicyOfOneSubsystemAlone) {
    for (const auto& [subsystem, nqn, controller] :
         {std::tuple{"nvme-subsys5", kNqn, "nvme2"}, {"nvme-subsys6", kOtherNqn, "nvme3"}}) {
        host.addController({.name = controller, .nqn = nqn});
        host.addSubsystem(subsystem, nqn, controller);
        FakeHost::write(host.subsystemDir(subsystem) / "iopolicy", "numa");
    }
    const auto policyOf = [&](const std::string& subsystem) {
        return FakeHost::read(host.subsystemDir(subsystem) / "iopolicy");
    };
    for (const auto& [policy, name] : {std::pair{IoPolicy::kRoundRobin, "round-robin"},
                                       {IoPolicy::kQueueDepth, "queue-depth"},
                                       {IoPolicy::kNuma, "numa"},
                                       {IoPolicy::kAuto, "queue-depth"}}) {
        FakeHost::write(host.subsystemDir("nvme-subsys6") / "iopolicy", "");
        const auto set = sysfs.setIoPolicy("nvme3", policy);
        ASSERT_TRUE(set.ok()) << set.error().message;
        EXPECT_EQ(set.value(), name);
        EXPECT_EQ(policyOf("nvme-subsys6"), name);
        EXPECT_EQ(policyOf("nvme-subsys5"), "numa");
    }
    EXPECT_EQ(sysfs.setIoPolicy("nvme4", IoPolicy::kAuto).error().code, ENOENT);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
