// SPDX-License-Identifier: Apache-2.0
#include "late_copies.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <optional>
#include <thread>

#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

class LateCopiesTest : public ::testing::Test {
 protected:
    LateCopiesTest() {
        host.addController({.name = "nvme0"});
        host.addController({.name = "nvme1", .address = "traddr=192.0.2.8,trsvcid=4420"});
        host.addSubsystem("nvme-subsys0", kNqn, "nvme0");
        std::filesystem::create_directory_symlink(host.controllerDir("nvme1"),
                                                  host.subsystemDir("nvme-subsys0") / "nvme1");
        std::filesystem::create_directories(proc() + "/net");
        flow("01", 0);
        copies.emplace(std::make_shared<UniqueFd>(open(host.subsystemDir("nvme-subsys0").c_str(),
                                                       O_DIRECTORY | O_CLOEXEC)),
                       proc(), [this] {
                           if (atEachTime) atEachTime();
                           return now;
                       });
    }
    /// To 192.0.2.7, the address of nvme0.
    void flow(const std::string& state, unsigned bytes) {
        char queued[9];
        snprintf(queued, sizeof(queued), "%08X", bytes);
        FakeHost::write(proc() + "/net/tcp",
                        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
                        "retrnsmt   uid  timeout inode\n"
                        "   0: 010200C0:D2F2 070200C0:1144 " +
                            state + " " + queued +
                            ":00000000 01:0000001A 00000002     0        0 0 2\n");
    }
    /// A look some time after the last one.
    uint64_t loss(LateCopies::Clock::duration later = 20ms) {
        now += later;
        return copies->loss();
    }
    std::string proc() const { return (host.sys() / "proc").string(); }

    FakeHost host;
    LateCopies::Clock::time_point now = LateCopies::Clock::now();
    std::function<void()> atEachTime;
    std::optional<LateCopies> copies;
};

TEST_F(LateCopiesTest, NoneWhileNoPathIsTakenDown) {
    EXPECT_EQ(loss(), 0u);
    // Of somebody else.
    flow("04", 4169);
    EXPECT_EQ(loss(), 0u);
    host.setState("nvme1", "resetting");
    EXPECT_EQ(loss(), 0u) << "which has no such socket";
}

TEST_F(LateCopiesTest, UntilSomeTimeAfterTheSocketIsClosed) {
    EXPECT_EQ(loss(), 0u);
    host.setState("nvme0", "resetting");
    EXPECT_EQ(loss(), 0u) << "the kernel has not taken the requests back yet";
    flow("04", 4169);
    const uint64_t first = loss();
    EXPECT_NE(first, 0u);
    EXPECT_EQ(loss(10s), first);
    flow("01", 0);
    host.setState("nvme0", "connecting");
    EXPECT_EQ(loss(LateCopies::kOnTheWay - 1ms), first);
    EXPECT_EQ(loss(), 0u);
}

TEST_F(LateCopiesTest, AlsoOfOneThatIsDeleted) {
    host.setState("nvme0", "deleting");
    flow("09", 4169);
    EXPECT_NE(loss(), 0u);
    host.removeController("nvme0");
    EXPECT_NE(loss(), 0u);
    EXPECT_EQ(loss(LateCopies::kOnTheWay), 0u);
}

TEST_F(LateCopiesTest, EachLossHasItsNumber) {
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    const uint64_t first = loss();
    host.setState("nvme1", "resetting");
    const uint64_t second = loss();
    EXPECT_NE(second, 0u);
    EXPECT_NE(second, first);
    host.setState("nvme0", "live");
    flow("01", 0);
    EXPECT_EQ(loss(), second);
    EXPECT_EQ(loss(LateCopies::kOnTheWay), 0u);
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    const uint64_t third = loss();
    EXPECT_NE(third, 0u);
    EXPECT_NE(third, second);
}

TEST_F(LateCopiesTest, NoneOverRdma) {
    host.removeController("nvme0");
    host.addController({.name = "nvme0", .transport = "rdma"});
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    EXPECT_EQ(loss(), 0u);
}

TEST_F(LateCopiesTest, ALookCountsForSomeMilliseconds) {
    EXPECT_EQ(loss(), 0u);
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    EXPECT_EQ(loss(1ms), 0u);
    EXPECT_NE(loss(), 0u);
}

TEST_F(LateCopiesTest, WhatCannotBeSeenIsNotOver) {
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    const auto state = host.controllerDir("nvme0") / "state";
    std::filesystem::remove(state);
    std::filesystem::create_directory(state);
    EXPECT_EQ(loss(), LateCopies::kNotKnownYet);
    std::filesystem::remove(state);
    host.setState("nvme0", "resetting");
    EXPECT_EQ(loss(), 1u);

    LateCopies ofNone(std::make_shared<UniqueFd>(), proc());
    EXPECT_EQ(ofNone.loss(), LateCopies::kNotKnownYet);
}

// Writes of all threads end here, and the look reads sysfs.
TEST_F(LateCopiesTest, NobodyWaitsForAnothersLook) {
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    // The second time is taken in the middle of the look.
    int times = 0;
    uint64_t meanwhile = 0;
    atEachTime = [&] {
        if (++times == 2) std::thread([&] { meanwhile = copies->loss(); }).join();
    };
    EXPECT_EQ(loss(), 1u);
    EXPECT_EQ(meanwhile, LateCopies::kNotKnownYet);
    EXPECT_EQ(loss(0ms), 1u) << "of the look before";
}

// The thread that looks may stand still between two of its steps.
TEST_F(LateCopiesTest, ALossIsCountedFromTheEndOfTheLook) {
    host.setState("nvme0", "resetting");
    flow("04", 4169);
    int times = 0;
    atEachTime = [&] {
        if (++times == 2) now += 2s;
    };
    EXPECT_EQ(loss(), 1u);
    flow("01", 0);
    EXPECT_EQ(loss(LateCopies::kOnTheWay - 1ms), 1u);
    EXPECT_EQ(loss(1ms), 0u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
