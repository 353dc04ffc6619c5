// SPDX-License-Identifier: Apache-2.0
// Who is next to connect, since the kernel makes one connection at a time.
#include "connect_order.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "fake_host.h"
#include "initiator_impl.h"

namespace mooncake::nvmeof_generic {
namespace {

using namespace std::chrono_literals;

class ConnectOrderTest : public testing::Test {
 protected:
    ~ConnectOrderTest() override {
        for (auto& thread : threads) thread.join();
    }
    Result<ConnectOrder::Turn> enter(const std::string& target, bool answered = true) {
        return order.enter(target, answered, ConnectOrder::Clock::now() + 20s, {});
    }
    void connectOnce(const std::string& target, bool succeeds) {
        auto turn = enter(target);
        ASSERT_TRUE(turn.ok());
        if (succeeds) turn.value().succeeded();
    }
    // Lets a target queue up behind those that did so before.
    void queue(const std::string& target, bool answered = true) {
        const size_t before = order.waiting();
        threads.emplace_back([=, this] {
            const auto turn = enter(target, answered);
            ASSERT_TRUE(turn.ok());
            std::lock_guard lock(mutex);
            went.push_back(target);
        });
        ASSERT_TRUE(eventually([&] { return order.waiting() == before + 1; }));
    }
    std::vector<std::string> all() {
        for (auto& thread : threads) thread.join();
        threads.clear();
        return went;
    }

    ConnectOrder order{0ms};  // each failure was a slow one
    std::mutex mutex;
    std::vector<std::string> went;
    std::vector<std::thread> threads;
};

using Names = std::vector<std::string>;

TEST_F(ConnectOrderTest, TheBestKnownGoFirst) {
    connectOnce("good", true);
    connectOnce("also good", true);
    connectOnce("bad", false);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter("holder"));
    queue("bad");
    queue("cannot be asked", false);
    queue("answered");
    queue("also answered");
    queue("good");
    queue("also good");
    EXPECT_EQ(order.waiting(), 6u);
    holder.reset();
    EXPECT_EQ(all(),
              (Names{"good", "also good", "answered", "also answered", "cannot be asked", "bad"}));
}

TEST_F(ConnectOrderTest, WhoFailsSlowlyIsNoLongerGoodAndWhoSucceedsIsAgain) {
    connectOnce("first", true);
    connectOnce("first", false);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter("holder"));
    queue("first");
    queue("second");
    holder.reset();
    EXPECT_EQ(all(), (Names{"second", "first"}));
    went.clear();
    connectOnce("first", true);
    holder = std::make_unique<Result<ConnectOrder::Turn>>(enter("holder"));
    queue("third");
    queue("first");
    holder.reset();
    EXPECT_EQ(all(), (Names{"first", "third"}));
}

// A target that was restarted refuses its old name at once: that held nobody up.
TEST(ConnectOrder, AQuickFailureIsForgiven) {
    ConnectOrder order(1h);
    const auto later = ConnectOrder::Clock::now() + 20s;
    {
        auto turn = order.enter("good", true, later, {});
        ASSERT_TRUE(turn.ok());
        turn.value().succeeded();
    }
    { ASSERT_TRUE(order.enter("good", true, later, {}).ok()); }
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(order.enter("x", true, later, {}));
    std::vector<std::string> went;
    std::vector<std::thread> threads;
    for (const char* name : {"new", "good"}) {
        const size_t before = order.waiting();
        threads.emplace_back([&, name] {
            const auto turn = order.enter(name, true, later, {});
            went.push_back(name);  // one at a time has its turn
        });
        ASSERT_TRUE(eventually([&] { return order.waiting() == before + 1; }));
    }
    holder.reset();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(went, (Names{"good", "new"}));
}

TEST_F(ConnectOrderTest, NobodyWaitsBeyondHisTimeOrAStop) {
    const auto holder = enter("holder");
    EXPECT_EQ(order.enter("late", true, ConnectOrder::Clock::now() + 1ms, {}).error().code,
              ETIMEDOUT);
    std::stop_source stop;
    threads.emplace_back([&] {
        const auto limit = ConnectOrder::Clock::now() + 20s;
        EXPECT_EQ(order.enter("stopped", true, limit, stop.get_token()).error().code, ECANCELED);
    });
    ASSERT_TRUE(eventually([&] { return order.waiting() == 1; }));
    stop.request_stop();
    all();
    EXPECT_EQ(order.waiting(), 0u);
}

// Who gives up lets those go who waited for him.
TEST_F(ConnectOrderTest, WhoGivesUpHoldsUpNobody) {
    connectOnce("good", true);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter("holder"));
    std::stop_source stop;
    std::thread leaving([&] {
        const auto limit = ConnectOrder::Clock::now() + 20s;
        EXPECT_FALSE(order.enter("good", true, limit, stop.get_token()).ok());
    });
    ASSERT_TRUE(eventually([&] { return order.waiting() == 1; }));
    queue("new");
    stop.request_stop();
    leaving.join();
    holder.reset();
    EXPECT_EQ(all(), (Names{"new"}));
}

// Targets come and go with a new address each: what is known of them does not grow for ever.
TEST_F(ConnectOrderTest, ForgetsAllRatherThanKnowTooMany) {
    connectOnce("good", true);
    for (int i = 0; i < 4096; ++i) connectOnce("target " + std::to_string(i), true);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter("holder"));
    queue("new");
    queue("good");
    holder.reset();
    EXPECT_EQ(all(), (Names{"new", "good"}));
}

// The whole initiator: while one target holds the kernel up, one that was connected to before
// overtakes one that was not.
TEST(ConnectOrderOfAnInitiator, KnownTargetsGoFirst) {
    FakeHost host;
    const auto fabrics = std::make_shared<FakeFabrics>(host);
    const auto initiator = makeInitiator(host, fabrics);
    const ConnectOrder& order = static_cast<InitiatorImpl&>(*initiator).connectOrder();
    const auto nqn = [](int i) { return kNqn.substr(0, kNqn.size() - 1) + std::to_string(i); };
    const auto address = [](int i) {
        return TransportAddress{"tcp", "ipv4", "192.0.2." + std::to_string(i), "4420"};
    };
    ASSERT_TRUE(initiator->connect(address(1), nqn(1)).ok());
    std::atomic<bool> letGo{false};
    std::mutex mutex;
    std::vector<std::string> went;
    fabrics->onConnect = [&] { letGo.wait(false); };
    std::vector<std::thread> threads;
    // 1 is known and comes last; it was restarted meanwhile, so that its name is new.
    for (const int i : {2, 3, 1}) {
        threads.emplace_back([&, i] {
            const auto connected = initiator->connect(address(i), nqn(i + 3));
            EXPECT_TRUE(connected.ok());
        });
        ASSERT_TRUE(eventually([&, i] {
            return i == 2 ? fabrics->connectsUnderWay == 1 : order.waiting() == (i == 3 ? 1u : 2u);
        }));
    }
    fabrics->onAddress = [&](const TransportAddress& at) {
        std::lock_guard lock(mutex);
        went.push_back(at.traddr);
    };
    letGo = true;
    letGo.notify_all();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(went, (Names{"192.0.2.2", "192.0.2.1", "192.0.2.3"}));
}

// What no answer came from never gets to the kernel, which would wait for it with all connects held
// up.
TEST(ConnectOrderOfAnInitiator, WhoDoesNotAnswerIsNotConnectedTo) {
    FakeHost host;
    const auto fabrics = std::make_shared<FakeFabrics>(host);
    const auto initiator = makeInitiator(host, fabrics);
    fabrics->failProbeWith = ETIMEDOUT;
    EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ETIMEDOUT);
    EXPECT_EQ(fabrics->connects, 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
