// SPDX-License-Identifier: Apache-2.0
// Several processes that use one controller. Two initiators stand for them: the locks that they
// tell each other by belong to opened files, so they act inside one process as they do between two.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "controller_lease.h"
#include "fake_host.h"
#include "sysfs_file.h"
#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;

class SharingTest : public testing::Test {
 protected:
    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::unique_ptr<Initiator> one = makeInitiator(host, fabrics);
    std::unique_ptr<Initiator> two = makeInitiator(host, fabrics);
    const ControllerNotes noNotes{std::make_shared<RunFolder>("/nonexistent"), host.sys()};

    std::shared_ptr<Connection> connect(Initiator& initiator) {
        auto connected = initiator.connect(kAddress, kNqn);
        EXPECT_TRUE(connected.ok()) << connected.error().message;
        return connected.ok() ? connected.take() : nullptr;
    }
    /// Connects in a process that ends as after SIGKILL: nothing is cleaned up.
    static void connectAndDie(Initiator& initiator, const TransportAddresses& addresses) {
        const pid_t child = fork();
        ASSERT_GE(child, 0);
        if (child == 0) _exit(initiator.connect(addresses, kNqn).ok() ? 0 : 1);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0);
    }
    std::vector<fs::path> notes() {
        std::vector<fs::path> found;
        const fs::path folder = fs::path(host.options().runRoot) / "nvmeof_generic";
        for (const auto& entry : fs::directory_iterator(folder)) {
            const auto& name = entry.path().filename().string();
            if (name.starts_with("controller.")) found.push_back(entry.path());
        }
        return found;
    }
    bool exists(const std::string& controller) {
        return fs::exists(host.controllerDir(controller));
    }
};

TEST_F(SharingTest, TheLastOneDisconnectsIfItIsTheMaker) {
    auto first = connect(*one);
    auto second = connect(*two);
    EXPECT_EQ(fabrics->connects, 1);
    second.reset();
    EXPECT_TRUE(exists("nvme0"));
    first.reset();
    EXPECT_FALSE(exists("nvme0"));
}

TEST_F(SharingTest, TheLastOneDisconnectsIfItIsNotTheMaker) {
    auto first = connect(*one);
    auto second = connect(*two);
    first.reset();
    EXPECT_TRUE(exists("nvme0")) << "the other one still uses it";
    EXPECT_EQ(fabrics->disconnects, 0);
    second.reset();
    EXPECT_FALSE(exists("nvme0"));
}

TEST_F(SharingTest, AForeignControllerStaysForeignForAll) {
    host.addController({.name = "nvme0"});
    auto first = connect(*one);
    auto second = connect(*two);
    second.reset();
    first.reset();
    EXPECT_TRUE(exists("nvme0"));
    EXPECT_EQ(fabrics->disconnects, 0);
}

// The next one takes it over.
TEST_F(SharingTest, AKilledProcessLeavesItsController) {
    connectAndDie(*one, {kAddress});
    auto second = connect(*two);
    ASSERT_TRUE(second);
    EXPECT_EQ(fabrics->connects, 0);
    EXPECT_TRUE(second->isOurs());
    auto first = connect(*one);
    EXPECT_TRUE(first->isOurs());
    second.reset();
    EXPECT_TRUE(exists("nvme0")) << "the other one still uses it";
    first.reset();
    EXPECT_FALSE(exists("nvme0"));
}

// Of one that is restarted again and again before it can disconnect.
TEST_F(SharingTest, WhatWasTakenOverCanBeLeftAgain) {
    connectAndDie(*one, {kAddress});
    connectAndDie(*one, {kAddress});
    auto second = connect(*two);
    EXPECT_TRUE(second->isOurs());
    EXPECT_EQ(fabrics->connects, 0);
}

TEST_F(SharingTest, TheNameOfAKilledProcessIsSomebodyElsesController) {
    connectAndDie(*one, {kAddress});
    host.removeController("nvme0");
    host.addController({.name = "nvme0"});
    auto second = connect(*two);
    EXPECT_FALSE(second->isOurs());
    second.reset();
    EXPECT_TRUE(exists("nvme0"));
    EXPECT_EQ(fabrics->disconnects, 0);
}

// What this machine's last start, or a container with a sysfs of its own, has noted. Its inodes
// say nothing here, and its locks are others.
TEST_F(SharingTest, NotesFromElsewhereCountNothing) {
    connectAndDie(*one, {kAddress});
    const auto note = notes().at(0);
    std::ifstream stream(note);
    std::string boot, mount, nqn;
    ASSERT_TRUE(std::getline(stream, boot) && std::getline(stream, mount) &&
                std::getline(stream, nqn));
    struct stat controller {};
    ASSERT_EQ(stat(host.controllerDir("nvme0").c_str(), &controller), 0);
    EXPECT_EQ(boot, bootId());
    EXPECT_EQ(mount, std::to_string(controller.st_dev));
    EXPECT_EQ(nqn, kNqn);
    const auto isOurs = [&](const std::string& b, const std::string& m, const std::string& n) {
        std::ofstream(note) << b << "\n" << m << "\n" << n << "\n";
        const bool ours = connect(*two)->isOurs();
        EXPECT_TRUE(exists("nvme0"));
        return ours;
    };
    EXPECT_FALSE(isOurs(boot + "0", mount, nqn));
    EXPECT_FALSE(isOurs(boot, mount + "0", nqn));
    EXPECT_FALSE(isOurs(boot, mount, kOtherNqn));
    auto third = connect(*two);
    EXPECT_FALSE(third->isOurs());
    std::ofstream(note) << boot << "\n" << mount << "\n" << nqn << "\n";
    EXPECT_TRUE(connect(*one)->isOurs()) << "the right one";
}

TEST_F(SharingTest, NotesGoWithTheirControllers) {
    connectAndDie(*one, {kAddress});
    EXPECT_EQ(notes().size(), 1u);
    host.addController({.name = "nvme5", .nqn = kOtherNqn});
    makeInitiator(host, fabrics);
    EXPECT_EQ(notes().size(), 1u) << "it is still there";
    host.removeController("nvme0");
    makeInitiator(host, fabrics);
    EXPECT_TRUE(notes().empty());
    connect(*one);
    EXPECT_EQ(notes().size(), 1u);
    connect(*one);
    EXPECT_EQ(notes().size(), 1u) << "that of before has gone";
}

// Disconnecting can take long. Until it has ended, nobody is given the controller.
TEST_F(SharingTest, WaitsForTheEndOfADisconnect) {
    std::atomic<bool> disconnecting{false};
    std::atomic<bool> letGo{false};
    fabrics->onDisconnect = [&] {
        disconnecting = true;
        letGo.wait(false);
    };
    auto first = connect(*one);
    std::thread leaving([&] { first.reset(); });
    ASSERT_TRUE(eventually([&] { return disconnecting.load(); }));
    auto options = host.options();
    options.connectTimeout = std::chrono::seconds(1);
    two = makeInitiator(host, fabrics, options);
    const auto connected = two->connect(kAddress, kNqn);
    EXPECT_FALSE(connected.ok());
    EXPECT_EQ(connected.error().code, ETIMEDOUT);
    letGo = true;
    letGo.notify_all();
    leaving.join();
    EXPECT_TRUE(connect(*two));
    EXPECT_EQ(fabrics->made, 2);
}

// Case 35: it is deleted while somebody waits for whoever does that.
TEST_F(SharingTest, AControllerThatIsGoneAfterTheWaitIsNotUsed) {
    host.addController({.name = "nvme0"});
    const SysfsNvme sysfs(host.sys());
    const fs::path path = host.controllerDir("nvme0") / "transport";
    UniqueFd gate(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_EQ(flock(gate.get(), LOCK_EX), 0);
    int code = 0;
    std::thread waiting([&] {
        const Poll poll(Clock::now() + std::chrono::seconds(20), {});
        const auto lease = ControllerLease::ofFound(sysfs.openController("nvme0").take(), "nvme0",
                                                    noNotes, Clock::now(), poll);
        if (!lease.ok()) code = lease.error().code;
    });
    const auto opened = [&] {
        int count = 0;
        for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
            std::error_code gone;
            count += fs::read_symlink(entry.path(), gone) == path;
        }
        return count;
    };
    EXPECT_TRUE(eventually([&] { return opened() == 2; })) << "it waits at the gate";
    host.removeController("nvme0");
    gate.reset();
    waiting.join();
    EXPECT_TRUE(isGone(code)) << code;
}

// Who asks while the last user disconnects gets a new controller, not the one that is going.
TEST_F(SharingTest, NobodyIsGivenAControllerThatIsBeingDeleted) {
    for (int round = 0; round < 50; ++round) {
        auto first = connect(*one);
        std::thread leaving([&] { first.reset(); });
        auto second = connect(*two);
        leaving.join();
        ASSERT_TRUE(second);
        EXPECT_TRUE(exists("nvme0")) << "round " << round;
        second.reset();
        EXPECT_FALSE(exists("nvme0")) << "round " << round;
    }
}

// Case 44.
TEST_F(SharingTest, ManyComeAndGo) {
    constexpr int kInitiators = 4;
    constexpr int kRounds = 30;
    std::vector<std::thread> threads;
    for (int i = 0; i < kInitiators; ++i) {
        threads.emplace_back([&] {
            const auto initiator = makeInitiator(host, fabrics);
            for (int round = 0; round < kRounds; ++round) {
                auto connection = connect(*initiator);
                ASSERT_TRUE(connection);
                // While somebody uses it, it is there.
                bool there = false;
                for (const char* name : {"nvme0", "nvme1", "nvme2", "nvme3"}) {
                    there = there || exists(name);
                }
                EXPECT_TRUE(there);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(fs::is_empty(host.sys() / "class/nvme"));
    EXPECT_EQ(fabrics->made, fabrics->disconnects);
}

// The maker of a controller has not marked it yet when another process looks at it.
TEST_F(SharingTest, WaitsForTheMarkOfAnExpectedMaker) {
    host.addController({.name = "nvme0"});
    const SysfsNvme sysfs(host.sys());
    const Poll poll(Clock::now() + std::chrono::seconds(20), {});
    std::atomic<bool> looking{false};
    bool ours = false;
    std::thread other([&] {
        looking = true;
        auto lease =
            ControllerLease::ofFound(sysfs.openController("nvme0").take(), "nvme0", noNotes,
                                     Clock::now() + std::chrono::seconds(20), poll);
        ours = lease.ok() && lease.value().isOurs();
    });
    ASSERT_TRUE(eventually([&] { return looking.load(); }));
    auto maker =
        ControllerLease::ofMade(sysfs.openController("nvme0").take(), "nvme0", noNotes, poll);
    other.join();
    ASSERT_TRUE(maker.ok());
    EXPECT_TRUE(ours);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
