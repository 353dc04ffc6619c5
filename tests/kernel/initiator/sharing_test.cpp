// SPDX-License-Identifier: Apache-2.0
// Several processes on one host, and controllers that others made.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "fixture.h"
#include "sysfs_nvme.h"

namespace initiator_test {
namespace {

const TransportAddress kOtherPort{"tcp", "ipv4", "127.0.0.1", "4421"};

class SharingKernelTest : public InitiatorKernelTest {};

// A process that connects, says so, and stays until it is told to go.
class Peer {
 public:
    explicit Peer(const std::function<std::shared_ptr<Connection>()>& connect) {
        if (pipe(toPeer_) != 0 || pipe(fromPeer_) != 0) abort();
        pid_ = fork();
        if (pid_ == 0) {
            close(toPeer_[1]);
            close(fromPeer_[0]);
            auto connection = connect();
            char byte = connection ? 'y' : 'n';
            if (write(fromPeer_[1], &byte, 1) != 1) _exit(1);
            if (read(toPeer_[0], &byte, 1) == 1) connection.reset();
            _exit(0);
        }
        close(toPeer_[0]);
        close(fromPeer_[1]);
    }
    ~Peer() {
        kill();
        close(toPeer_[1]);
        close(fromPeer_[0]);
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    bool connected() const {
        char byte = 0;
        return read(fromPeer_[0], &byte, 1) == 1 && byte == 'y';
    }
    void leave() {
        EXPECT_EQ(write(toPeer_[1], "q", 1), 1);
        reap();
    }
    void kill() {
        if (pid_ > 0) ::kill(pid_, SIGKILL);
        reap();
    }

 private:
    void reap() {
        if (pid_ > 0) waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    pid_t pid_ = -1;
    int toPeer_[2];
    int fromPeer_[2];
};

TEST_F(SharingKernelTest, AForeignControllerIsUsedAndLeftAlone) {
    const std::string foreign = connectByHand(*target, kHostNqn, kHostId);
    const auto initiator = makeInitiator();
    auto connection = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    EXPECT_EQ(controllers(), std::set<std::string>{foreign});
    auto opened = open(*initiator, *connection.value());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    exchangeData(opened.value().fd.get(), backingFile(), 5);
    opened.value().fd.reset();
    connection.value().reset();
    EXPECT_EQ(controllers(), std::set<std::string>{foreign});
    EXPECT_EQ(attribute(foreign, "state"), "live");
    deleteController(foreign);
}

TEST_F(SharingKernelTest, TwoProcessesUseOneControllerAndTheLastDisconnects) {
    const auto connect = [&] {
        const auto initiator = makeInitiator();
        auto connected = initiator->connect(kLoopback, target->nqn());
        return connected.ok() ? connected.take() : nullptr;
    };
    Peer maker(connect);
    ASSERT_TRUE(maker.connected());
    const auto shared = controllers();
    const auto initiator = makeInitiator();
    auto connection = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    EXPECT_EQ(controllers(), shared);
    maker.leave();
    EXPECT_EQ(controllers(), shared) << "it is still in use";
    auto opened = open(*initiator, *connection.value());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    exchangeData(opened.value().fd.get(), backingFile(), 6);
    opened.value().fd.reset();
    connection.value().reset();
    EXPECT_TRUE(controllers().empty());
}

TEST_F(SharingKernelTest, AKilledProcessTakesNothingAway) {
    Peer maker([&] {
        const auto initiator = makeInitiator();
        auto connected = initiator->connect(kLoopback, target->nqn());
        return connected.ok() ? connected.take() : nullptr;
    });
    ASSERT_TRUE(maker.connected());
    const auto initiator = makeInitiator();
    auto connection = initiator->connect(kLoopback, target->nqn());
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    maker.kill();
    auto opened = open(*initiator, *connection.value());
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    exchangeData(opened.value().fd.get(), backingFile(), 7);
    opened.value().fd.reset();
    connection.value().reset();
    EXPECT_TRUE(controllers().empty()) << "the last one disconnects, whoever made it";
}

// The next one takes over what it left, and disconnects it in the end.
TEST_F(SharingKernelTest, AKilledProcessLeavesItsController) {
    const auto connect = [&] {
        auto connected = makeInitiator()->connect(kLoopback, target->nqn());
        return connected.ok() ? connected.take() : nullptr;
    };
    Peer killed(connect);
    ASSERT_TRUE(killed.connected());
    killed.kill();
    const auto left = controllers();
    ASSERT_EQ(left.size(), 1u);
    auto connection = connect();
    ASSERT_TRUE(connection);
    EXPECT_EQ(controllers(), left);
    EXPECT_TRUE(connection->isOurs());
    connection.reset();
    EXPECT_TRUE(controllers().empty());
}

// Whose path has died: nothing keeps the next one from taking another, long before the kernel gives
// up.
TEST_F(SharingKernelTest, AKilledProcessIsInNobodysWay) {
    target->listenAt(kOtherPort);
    auto patient = options();
    patient.controllerLoss = std::chrono::minutes(10);
    const auto connect = [&] {
        auto connected = makeInitiator(patient)->connect({kLoopback, kOtherPort}, target->nqn());
        EXPECT_TRUE(connected.ok()) << connected.error().message;
        return connected.ok() ? connected.take() : nullptr;
    };
    Peer killed(connect);
    ASSERT_TRUE(killed.connected());
    killed.kill();
    const auto left = SysfsNvme("/sys").controllers();
    ASSERT_TRUE(left.ok() && left.value().size() == 1);
    const auto& port = left.value()[0].trsvcid == kLoopback.trsvcid ? kLoopback : kOtherPort;
    target->leave(port);
    ASSERT_TRUE(eventually([&] { return attribute(left.value()[0].name, "state") != "live"; }));
    auto connection = connect();
    ASSERT_TRUE(connection);
    EXPECT_TRUE(connection->isOurs());
    EXPECT_TRUE(eventually([&] { return controllers().size() == 1; }));
    const auto now = SysfsNvme("/sys").controllers();
    ASSERT_TRUE(now.ok() && now.value().size() == 1);
    EXPECT_NE(now.value()[0].trsvcid, port.trsvcid);
    connection.reset();
    EXPECT_TRUE(controllers().empty());
}

// By which the younger of two is known, and a controller from another one of its name.
TEST_F(SharingKernelTest, ControllersAreBornInOrder) {
    const std::string otherId = "4d2f4b3a-9c7e-4f0a-8a55-0c1d2e3f4a5c";
    const std::string other = "nqn.2014-08.org.nvmexpress:uuid:" + otherId;
    uint64_t last = 0;
    const auto connectYounger = [&](const std::string& hostNqn, const std::string& hostId) {
        const std::string name = connectByHand(*target, hostNqn, hostId);
        const auto dir = SysfsNvme("/sys").openController(name);
        const auto info = SysfsNvme::describeController(dir.value().get(), name);
        EXPECT_GT(info.value().born, last) << name;
        last = info.value().born;
        return name;
    };
    const std::string first = connectYounger(kHostNqn, kHostId);
    const std::string second = connectYounger(other, otherId);
    deleteController(first);
    const std::string third = connectYounger(kHostNqn, kHostId);
    deleteController(second);
    deleteController(third);
    deleteController(connectYounger(kHostNqn, kHostId));
}

// With a /run of their own they take no turns, and both make a controller, each over another path.
TEST_F(SharingKernelTest, TwoContainersUseOnePath) {
    target->listenAt(kOtherPort);
    const TransportAddresses orders[] = {{kLoopback, kOtherPort}, {kOtherPort, kLoopback}};
    for (int round = 0; round < 3; ++round) {
        std::shared_ptr<Connection> connections[2];
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([&, i] {
                auto own = options();
                own.runRoot = folder("run" + std::to_string(i));
                auto connected = makeInitiator(own)->connect(orders[i], target->nqn());
                ASSERT_TRUE(connected.ok()) << connected.error().message;
                connections[i] = connected.take();
            });
        }
        for (auto& thread : threads) thread.join();
        EXPECT_EQ(controllers().size(), 1u) << "round " << round;
        for (auto& connection : connections) connection.reset();
        EXPECT_TRUE(controllers().empty());
    }
}

// Processes that come and go at the same time: each gets a connection that works.
TEST_F(SharingKernelTest, ManyInitiatorsComeAndGo) {
    constexpr int kInitiators = 4;
    constexpr int kRounds = 8;
    std::vector<std::thread> threads;
    for (int i = 0; i < kInitiators; ++i) {
        threads.emplace_back([&] {
            const auto initiator = makeInitiator();
            for (int round = 0; round < kRounds; ++round) {
                auto connection = initiator->connect(kLoopback, target->nqn());
                ASSERT_TRUE(connection.ok()) << connection.error().message;
                const auto opened = open(*initiator, *connection.value());
                ASSERT_TRUE(opened.ok()) << opened.error().message;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(controllers().empty());
}

}  // namespace
}  // namespace initiator_test
