// SPDX-License-Identifier: Apache-2.0
// Connecting, and sharing connections inside one process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "connection_table.h"
#include "fake_host.h"
#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ConnectTest : public testing::Test {
 protected:
    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::unique_ptr<Initiator> initiator = makeInitiator(host, fabrics);

    bool exists(const std::string& controller) {
        return fs::exists(host.controllerDir(controller));
    }
    // An initiator that waits `seconds` at most.
    void waitAtMost(int seconds) {
        auto options = host.options();
        options.connectTimeout = std::chrono::seconds(seconds);
        initiator = makeInitiator(host, fabrics, options);
    }
};

TEST_F(ConnectTest, ConnectsOnceAndDisconnectsWithTheLastUse) {
    auto first = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_EQ(first.value()->subsystemNqn(), kNqn);
    auto second = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(fabrics->connects, 1);
    first.value().reset();
    EXPECT_TRUE(exists("nvme0"));
    second.value().reset();
    EXPECT_FALSE(exists("nvme0"));
    EXPECT_EQ(fabrics->disconnects, 1);
}

TEST_F(ConnectTest, SubsystemsHaveControllersOfTheirOwn) {
    auto first = initiator->connect(kAddress, kNqn);
    auto second = initiator->connect(kAddress, kOtherNqn);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(fabrics->connects, 2);
    first.value().reset();
    EXPECT_FALSE(exists("nvme0"));
    EXPECT_TRUE(exists("nvme1"));
}

TEST_F(ConnectTest, AConnectionOutlivesItsInitiator) {
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok());
    initiator.reset();
    EXPECT_TRUE(exists("nvme0"));
    connection.value().reset();
    EXPECT_FALSE(exists("nvme0"));
}

// Case 25: what could inject an option or a path never reaches libnvme, which does not escape.
TEST_F(ConnectTest, RefusesHostileNamesAndAddresses) {
    const std::string hostileNqns[] = {"",
                                       "a",
                                       kNqn + ",nr_io_queues=1",
                                       kNqn + "\n",
                                       kNqn + " ",
                                       kNqn + "/..",
                                       "../" + kNqn,
                                       kNqn + std::string(1, '\0'),
                                       kNqn + std::string("\0,hostnqn=x", 11),
                                       "nqn.2026-01." + std::string(250, 'a'),
                                       kNqn + "\"",
                                       kNqn + "%",
                                       kNqn + "\xc3\xa4",
                                       "nqn.2026-01./etc"};
    for (const std::string& nqn : hostileNqns) {
        const auto connected = initiator->connect(kAddress, nqn);
        ASSERT_FALSE(connected.ok()) << nqn;
        EXPECT_EQ(connected.error().code, EINVAL) << nqn;
    }
    const TransportAddress hostile[] = {{"tcp", "ipv4", "192.0.2.7,hostnqn=x", "4420"},
                                        {"tcp", "ipv4", "192.0.2.7\n", "4420"},
                                        {"tcp", "ipv4", "192.0.2.7 ", "4420"},
                                        {"tcp", "ipv4", "example.com", "4420"},
                                        {"tcp", "ipv4", "192.0.2.7/24", "4420"},
                                        {"tcp", "ipv4", "", "4420"},
                                        {"tcp", "ipv6", "::1%a,b", "4420"},
                                        {"tcp", "ipv6", "::1%../x", "4420"},
                                        {"tcp", "ipv4", "192.0.2.7", "4420,x=y"},
                                        {"tcp", "ipv4", "192.0.2.7", "0"},
                                        {"tcp", "ipv4", "192.0.2.7", "65536"},
                                        {"tcp", "ipv4", "192.0.2.7", "+1"},
                                        {"loop", "ipv4", "192.0.2.7", "4420"},
                                        {"tcp,x", "ipv4", "192.0.2.7", "4420"},
                                        {"tcp", "ib", "192.0.2.7", "4420"},
                                        {"tcp", "ipv4", std::string("192.0.2.7\0", 10), "1"}};
    for (const TransportAddress& address : hostile) {
        const auto connected = initiator->connect(address, kNqn);
        ASSERT_FALSE(connected.ok()) << toString(address);
        EXPECT_EQ(connected.error().code, EINVAL) << toString(address);
    }
    EXPECT_EQ(fabrics->connects, 0);
    // Case 25: the host NQN is checked before anything starts.
    auto options = host.options();
    options.hostNqn = kHostNqn + ",tls";
    const auto created = Initiator::create(options, fabrics);
    ASSERT_FALSE(created.ok());
    EXPECT_EQ(created.error().code, EINVAL);
}

TEST_F(ConnectTest, PassesTheKernelsErrorOnAndTriesAnew) {
    fabrics->failWith = ECONNREFUSED;
    EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECONNREFUSED);
    fabrics->failWith = EIO;
    EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, EIO);
    EXPECT_EQ(fabrics->connects, 2);
    fabrics->failWith = 0;
    EXPECT_TRUE(initiator->connect(kAddress, kNqn).ok());
}

// Case 33: each restart of a target brings a new NQN.
TEST(ConnectionTableTest, KeepsNothingOfThoseThatEnded) {
    ConnectionTable table;
    for (int i = 0; i < 100; ++i) {
        const auto made = table.get("nqn" + std::to_string(i), {}, [] {
            return ConnectionTable::Connected(Error{ECONNREFUSED, "refused"});
        });
        EXPECT_EQ(made.error().code, ECONNREFUSED);
    }
    EXPECT_LE(table.size(), 1u);
}

TEST_F(ConnectTest, AllWhoAskAtTheSameTimeShareOneConnect) {
    constexpr int kThreads = 8;
    std::latch everybodyAsks(kThreads);
    // The connect ends when all have asked for it: nobody can come too late to join.
    fabrics->onConnect = [&] { everybodyAsks.wait(); };
    std::vector<std::shared_ptr<Connection>> connections(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            everybodyAsks.count_down();
            auto connected = initiator->connect(kAddress, kNqn);
            if (connected.ok()) connections[static_cast<size_t>(i)] = connected.take();
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(fabrics->connects, 1);
    for (const auto& connection : connections) {
        ASSERT_TRUE(connection);
        EXPECT_EQ(connection, connections[0]);
    }
    connections.clear();
    EXPECT_EQ(fabrics->disconnects, 1);
    EXPECT_FALSE(exists("nvme0"));
}

TEST_F(ConnectTest, AllWhoWaitGetTheError) {
    std::atomic<bool> letGo{false};
    fabrics->onConnect = [&] { letGo.wait(false); };
    fabrics->failWith = ECONNREFUSED;
    std::thread maker(
        [&] { EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECONNREFUSED); });
    ASSERT_TRUE(eventually([&] { return fabrics->connectsUnderWay == 1; }));
    std::atomic<bool> joining{false};
    std::thread joiner([&] {
        joining = true;
        EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECONNREFUSED);
    });
    ASSERT_TRUE(eventually([&] { return joining.load(); }));
    letGo = true;
    letGo.notify_all();
    maker.join();
    joiner.join();
}

// One subsystem's connect, however long, holds up no other one.
TEST_F(ConnectTest, NobodyWaitsForAnotherSubsystem) {
    std::atomic<bool> letGo{false};
    fabrics->onConnect = [&] { letGo.wait(false); };
    std::thread slow([&] { EXPECT_TRUE(initiator->connect(kAddress, kNqn).ok()); });
    ASSERT_TRUE(eventually([&] { return fabrics->connectsUnderWay == 1; }));
    host.addController({.name = "nvme7", .nqn = kOtherNqn});
    EXPECT_TRUE(initiator->connect(kAddress, kOtherNqn).ok());
    letGo = true;
    letGo.notify_all();
    slow.join();
}

// Case 35: an administrator deletes the controller.
TEST_F(ConnectTest, ADeletedControllerIsReplaced) {
    auto dead = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(dead.ok());
    host.removeController("nvme0");
    auto fresh = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(fresh.ok()) << fresh.error().message;
    EXPECT_NE(fresh.value(), dead.value());
    EXPECT_EQ(fabrics->connects, 2);
    // Its end must not touch the new controller, which has the old one's name.
    dead.value().reset();
    EXPECT_TRUE(exists("nvme0"));
    EXPECT_EQ(fabrics->disconnects, 0);
    EXPECT_EQ(initiator->connect(kAddress, kNqn).value(), fresh.value());
}

// Cases 3 and 35: an administrator deletes it before its maker can look at it, and the name goes to
// a stranger's.
TEST_F(ConnectTest, AStrangerWithTheNameOfANewControllerIsLeftAlone) {
    struct Recycling : FakeFabrics {
        explicit Recycling(FakeHost& h) : FakeFabrics(h), host(h) {}
        Result<std::string> connect(const Path& path, const std::string& nqn,
                                    const HostIdentity& own, const InitiatorOptions& options,
                                    const Probed& probed) override {
            auto name = FakeFabrics::connect(path, nqn, own, options, probed);
            if (name.ok()) {
                host.removeController(name.value());
                host.addController({.name = name.value(),
                                    .nqn = kOtherNqn,
                                    .address = "traddr=192.0.2.8,trsvcid=4420"});
            }
            return name;
        }
        FakeHost& host;
    };
    const auto recycling = std::make_shared<Recycling>(host);
    const auto connected = makeInitiator(host, recycling)->connect(kAddress, kNqn);
    ASSERT_FALSE(connected.ok());
    EXPECT_EQ(connected.error().code, ENODEV) << connected.error().message;
    EXPECT_TRUE(exists("nvme0"));
    EXPECT_EQ(recycling->disconnects, 0);
}

// Case 35: the kernel gives the controller up.
TEST_F(ConnectTest, AControllerThatIsGoingIsNotHandedOut) {
    auto dying = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(dying.ok());
    host.setState("nvme0", "deleting (no IO)");
    fabrics->failWith = ECONNREFUSED;
    EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECONNREFUSED);
}

TEST_F(ConnectTest, AConnectionThatTheKernelRestoresStaysInUse) {
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok());
    host.setState("nvme0", "connecting");
    auto again = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again.value(), connection.value());
    EXPECT_FALSE(connection.value()->isLive());
    host.setState("nvme0", "live");
    EXPECT_TRUE(connection.value()->isLive());
}

TEST_F(ConnectTest, AForeignControllerIsUsedAndLeftAlone) {
    host.addController({.name = "nvme4", .fastIoFail = "off"});
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    connection.value().reset();
    EXPECT_EQ(fabrics->connects, 0);
    EXPECT_EQ(fabrics->disconnects, 0);
    EXPECT_TRUE(exists("nvme4"));
}

TEST_F(ConnectTest, AControllerThatIsNotTheSameIsNotUsed) {
    host.addController({.name = "nvme1", .nqn = kOtherNqn});
    host.addController({.name = "nvme2", .hostNqn = "nqn.2020-01.com.example:another-host"});
    host.addController({.name = "nvme6", .state = "dead"});
    FakeHost::write(host.controllerDir("nvme6") / "hostid", "");
    fabrics->failWith = ECONNREFUSED;
    EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECONNREFUSED);
    EXPECT_EQ(fabrics->connects, 1);
}

TEST_F(ConnectTest, WaitsForAForeignControllerThatIsReconnecting) {
    host.addController({.name = "nvme4", .state = "connecting"});
    std::thread restorer([&] { host.setState("nvme4", "live"); });
    const auto connected = initiator->connect(kAddress, kNqn);
    restorer.join();
    EXPECT_TRUE(connected.ok()) << connected.error().message;
    EXPECT_EQ(fabrics->connects, 0);
}

TEST_F(ConnectTest, WaitsNoLongerThanTheLimit) {
    waitAtMost(1);
    host.addController({.name = "nvme4", .state = "connecting"});
    const auto connected = initiator->connect(kAddress, kNqn);
    ASSERT_FALSE(connected.ok());
    EXPECT_EQ(connected.error().code, ETIMEDOUT);
    EXPECT_THAT(connected.error().message, HasSubstr("nvme4"));
    EXPECT_THAT(connected.error().message, HasSubstr(kNqn));
}

// The controller that is waited for goes away: a new one is made.
TEST_F(ConnectTest, ConnectsWhenTheOneThatReconnectedIsGivenUp) {
    host.addController({.name = "nvme4", .state = "connecting"});
    std::thread remover([&] { host.removeController("nvme4"); });
    const auto connected = initiator->connect(kAddress, kNqn);
    remover.join();
    EXPECT_TRUE(connected.ok()) << connected.error().message;
    EXPECT_EQ(fabrics->connects, 1);
}

TEST_F(ConnectTest, AnotherProcessWasFaster) {
    // Between the look into sysfs and the connect.
    fabrics->onConnect = [&] {
        if (fabrics->connects == 1) host.addController({.name = "nvme4"});
    };
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    EXPECT_EQ(fabrics->connects, 1);
    connection.value().reset();
    EXPECT_TRUE(exists("nvme4")) << "it was made by someone else";
}

TEST_F(ConnectTest, AlreadyConnectedButNowhereToBeSeen) {
    waitAtMost(1);
    fabrics->failWith = EALREADY;
    const auto connected = initiator->connect(kAddress, kNqn);
    ASSERT_FALSE(connected.ok());
    EXPECT_EQ(connected.error().code, ETIMEDOUT);
    EXPECT_LE(fabrics->connects, 5) << "each attempt blocks every connect of this machine";
}

TEST_F(ConnectTest, UsesTheHostIdThatTheKernelKnows) {
    host.addController(
        {.name = "nvme4", .nqn = kOtherNqn, .hostId = "99999999-2222-4333-8444-555555555555"});
    ASSERT_TRUE(initiator->connect(kAddress, kNqn).ok());
    EXPECT_EQ(fabrics->lastHost().nqn, kHostNqn);
    EXPECT_EQ(fabrics->lastHost().id, "99999999-2222-4333-8444-555555555555");
}

TEST_F(ConnectTest, InterruptEndsAWait) {
    waitAtMost(86400);
    host.addController({.name = "nvme4", .state = "connecting"});
    std::thread waiting(
        [&] { EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECANCELED); });
    initiator->interrupt();
    waiting.join();
}

TEST_F(ConnectTest, InterruptEndsAWaitForAnotherThreadsConnect) {
    std::atomic<bool> letGo{false};
    fabrics->onConnect = [&] { letGo.wait(false); };
    std::thread maker([&] { EXPECT_TRUE(initiator->connect(kAddress, kNqn).ok()); });
    ASSERT_TRUE(eventually([&] { return fabrics->connectsUnderWay == 1; }));
    std::thread joiner(
        [&] { EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ECANCELED); });
    initiator->interrupt();
    joiner.join();
    letGo = true;
    letGo.notify_all();
    maker.join();
}

// Case 44: connect, use and drop from many threads, with an administrator among them.
TEST_F(ConnectTest, ManyThreadsConnectAndDisconnect) {
    constexpr int kThreads = 6;
    constexpr int kRounds = 40;
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int round = 0; round < kRounds; ++round) {
                const std::string& nqn = (i + round) % 2 ? kNqn : kOtherNqn;
                const auto connection = initiator->connect(kAddress, nqn);
                if (connection.ok()) {
                    EXPECT_EQ(connection.value()->subsystemNqn(), nqn);
                } else {  // deleted before it could be used; its name may be the other one's by now
                    const int code = connection.error().code;
                    EXPECT_TRUE(isGone(code) || code == EPROTO) << connection.error().message;
                }
            }
        });
    }
    std::thread administrator([&] {
        while (!done) host.removeController("nvme0");
    });
    for (auto& thread : threads) thread.join();
    done = true;
    administrator.join();
    EXPECT_FALSE(exists("nvme0"));
    EXPECT_FALSE(exists("nvme1"));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
