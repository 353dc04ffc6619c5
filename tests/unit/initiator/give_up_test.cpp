// SPDX-License-Identifier: Apache-2.0
// A connection that is given up: the kernel may need long to remove all of its namespaces.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <future>

#include "fake_host.h"

namespace mooncake::nvmeof_generic {
namespace {

class GiveUpTest : public testing::Test {
 protected:
    // As the kernel does it: at once it is marked, and gone much later.
    void SetUp() override {
        fabrics->onDisconnect = [this] {
            if (!slow.exchange(false)) return;
            host.setState("nvme0", "deleting");
            gone.wait();
        };
    }
    void letItGo() { goes.set_value(); }

    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::atomic<bool> slow{true};
    std::promise<void> goes;
    std::shared_future<void> gone = goes.get_future().share();
    std::unique_ptr<Initiator> initiator = makeInitiator(host, fabrics);
};

TEST_F(GiveUpTest, NobodyWaitsForTheRemoval) {
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    connection.value()->giveUp();
    EXPECT_FALSE(connection.value()->isLive());
    const auto other = initiator->connect(kAddress, kOtherNqn);
    EXPECT_TRUE(other.ok()) << other.error().message;
    connection.value().reset();
    EXPECT_EQ(fabrics->disconnects, 0) << "it is still going";
    letItGo();
    EXPECT_TRUE(eventually([&] { return fabrics->disconnects == 1; }));
}

TEST_F(GiveUpTest, TheSameSubsystemHasToWait) {
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    connection.value()->giveUp();
    const auto early = initiator->connect(kAddress, kNqn);
    ASSERT_FALSE(early.ok());
    EXPECT_EQ(early.error().code, ETIMEDOUT);
    EXPECT_EQ(fabrics->connects, 1);
    letItGo();
    std::shared_ptr<Connection> again;
    EXPECT_TRUE(eventually([&] {
        auto late = initiator->connect(kAddress, kNqn);
        if (late.ok()) again = late.take();
        return again != nullptr;
    }));
    EXPECT_NE(again, connection.value());
    EXPECT_TRUE(again->isLive());
}

TEST_F(GiveUpTest, TheEndOfTheInitiatorWaits) {
    auto connection = initiator->connect(kAddress, kNqn);
    ASSERT_TRUE(connection.ok()) << connection.error().message;
    connection.value()->giveUp();
    connection.value().reset();
    std::atomic<int> goneBefore{-1};
    auto end = std::async(std::launch::async, [&] {
        initiator.reset();
        goneBefore = fabrics->disconnects.load();
    });
    EXPECT_EQ(end.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    letItGo();
    end.get();
    EXPECT_EQ(goneBefore, 1);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
