// SPDX-License-Identifier: Apache-2.0
// Several processes on one host, and controllers that others made.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "fixture.h"

namespace initiator_test {
namespace {

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
