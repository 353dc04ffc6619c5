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

// Targets of these tests are hosts by number.
TransportAddress host(int number) {
    return {"tcp", "ipv4", "192.0.2." + std::to_string(number), "4420"};
}

class ConnectOrderTest : public testing::Test {
 protected:
    ~ConnectOrderTest() override {
        for (auto& thread : threads) thread.join();
    }
    Result<ConnectOrder::Turn> enter(const TransportAddress& target, bool answered = true) {
        return order.enter(target, answered, ConnectOrder::Clock::now() + 20s, {});
    }
    void connectOnce(const TransportAddress& target, bool succeeds) {
        auto turn = enter(target);
        ASSERT_TRUE(turn.ok());
        if (succeeds) turn.value().succeeded();
    }
    // Lets a target queue up behind those that did so before. Nothing is learnt of it: a second
    // slow failure would let it rest for as long as this thread has its turn.
    void queue(const TransportAddress& target, bool answered = true) {
        const size_t before = order.waiting();
        threads.emplace_back([=, this] {
            auto turn = enter(target, answered);
            ASSERT_TRUE(turn.ok());
            turn.value().unused();
            std::lock_guard lock(mutex);
            went.push_back(target);
        });
        ASSERT_TRUE(eventually([&] { return order.waiting() == before + 1; }));
    }
    std::vector<TransportAddress> all() {
        for (auto& thread : threads) thread.join();
        threads.clear();
        return went;
    }

    FakeHost machine;
    const std::shared_ptr<RunFolder> folder =
        std::make_shared<RunFolder>(machine.options().runRoot);
    ConnectOrder order{folder, 0ms};  // each failure was a slow one
    std::mutex mutex;
    std::vector<TransportAddress> went;
    std::vector<std::thread> threads;
};

using Names = std::vector<std::string>;
using Targets = std::vector<TransportAddress>;

const auto kGood = host(1), kAlsoGood = host(2), kBad = host(3), kHolder = host(4),
           kSilent = host(5), kAnswered = host(6), kAlsoAnswered = host(7), kFirst = host(8),
           kSecond = host(9), kThird = host(10), kNew = host(11);

TEST_F(ConnectOrderTest, TheBestKnownGoFirst) {
    connectOnce(kGood, true);
    connectOnce(kAlsoGood, true);
    connectOnce(kBad, false);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    queue(kBad);
    queue(kSilent, false);
    queue(kAnswered);
    queue(kAlsoAnswered);
    queue(kGood);
    queue(kAlsoGood);
    EXPECT_EQ(order.waiting(), 6u);
    holder.reset();
    EXPECT_EQ(all(), (Targets{kGood, kAlsoGood, kAnswered, kAlsoAnswered, kSilent, kBad}));
}

TEST_F(ConnectOrderTest, WhoFailsSlowlyIsNoLongerGoodAndWhoSucceedsIsAgain) {
    connectOnce(kFirst, true);
    connectOnce(kFirst, false);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    queue(kFirst);
    queue(kSecond);
    holder.reset();
    EXPECT_EQ(all(), (Targets{kSecond, kFirst}));
    went.clear();
    connectOnce(kFirst, true);
    holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    queue(kThird);
    queue(kFirst);
    holder.reset();
    EXPECT_EQ(all(), (Targets{kFirst, kThird}));
}

// A target that was restarted refuses its old name at once: that held nobody up.
TEST_F(ConnectOrderTest, AQuickFailureIsForgiven) {
    ConnectOrder quick(folder, 1h);
    const auto later = ConnectOrder::Clock::now() + 20s;
    {
        auto turn = quick.enter(kGood, true, later, {});
        ASSERT_TRUE(turn.ok());
        turn.value().succeeded();
    }
    { ASSERT_TRUE(quick.enter(kGood, true, later, {}).ok()); }
    auto holder =
        std::make_unique<Result<ConnectOrder::Turn>>(quick.enter(kHolder, true, later, {}));
    for (const auto& target : {kNew, kGood}) {
        const size_t before = quick.waiting();
        threads.emplace_back([&, target] {
            const auto turn = quick.enter(target, true, later, {});
            went.push_back(target);  // one at a time has its turn
        });
        ASSERT_TRUE(eventually([&] { return quick.waiting() == before + 1; }));
    }
    holder.reset();
    EXPECT_EQ(all(), (Targets{kGood, kNew}));
}

// Where the kernel was not asked, nobody was held up.
TEST_F(ConnectOrderTest, ATurnThatIsNotUsedSaysNothing) {
    {
        auto turn = enter(kFirst);
        ASSERT_TRUE(turn.ok());
        turn.value().unused();
    }
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    queue(kFirst);
    queue(kSecond);
    holder.reset();
    EXPECT_EQ(all(), (Targets{kFirst, kSecond}));
}

TEST_F(ConnectOrderTest, NobodyWaitsBeyondHisTimeOrAStop) {
    const auto holder = enter(kHolder);
    EXPECT_EQ(order.enter(kFirst, true, ConnectOrder::Clock::now() + 1ms, {}).error().code,
              ETIMEDOUT);
    std::stop_source stop;
    threads.emplace_back([&] {
        const auto limit = ConnectOrder::Clock::now() + 20s;
        EXPECT_EQ(order.enter(kSecond, true, limit, stop.get_token()).error().code, ECANCELED);
    });
    ASSERT_TRUE(eventually([&] { return order.waiting() == 1; }));
    stop.request_stop();
    all();
    EXPECT_EQ(order.waiting(), 0u);
}

// Who gives up lets those go who waited for him.
TEST_F(ConnectOrderTest, WhoGivesUpHoldsUpNobody) {
    connectOnce(kGood, true);
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    std::stop_source stop;
    std::thread leaving([&] {
        const auto limit = ConnectOrder::Clock::now() + 20s;
        EXPECT_FALSE(order.enter(kGood, true, limit, stop.get_token()).ok());
    });
    ASSERT_TRUE(eventually([&] { return order.waiting() == 1; }));
    queue(kNew);
    stop.request_stop();
    leaving.join();
    holder.reset();
    EXPECT_EQ(all(), (Targets{kNew}));
}

// Targets come and go with a new address each: what is known of them does not grow for ever, and
// those in use are not forgotten for those that are not.
TEST(LastUsed, ForgetsWhatWasNotUsedForLong) {
    LastUsed targets(3);
    for (const char* name : {"a", "b", "c"}) targets.add(name);
    targets.add("a");
    targets.add("d");
    EXPECT_TRUE(targets.contains("a"));
    EXPECT_FALSE(targets.contains("b"));
    EXPECT_TRUE(targets.contains("c"));
    targets.remove("c");
    targets.remove("c");
    EXPECT_FALSE(targets.contains("c"));
    targets.add("e");
    EXPECT_TRUE(targets.contains("a"));
}

// A new port does not make a new host.
TEST_F(ConnectOrderTest, AHostThatHeldTheKernelUpGoesLastWithAnyPort) {
    connectOnce(kBad, false);
    TransportAddress newPort = kBad;
    newPort.trsvcid = "5000";
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    queue(newPort);
    queue(kNew);
    holder.reset();
    EXPECT_EQ(all(), (Targets{kNew, newPort}));
}

// Another process is another order on the same folder.
TEST_F(ConnectOrderTest, ProcessesTellEachOtherWhoHeldTheKernelUp) {
    connectOnce(kBad, false);
    ConnectOrder other(folder, 0ms);
    const auto later = ConnectOrder::Clock::now() + 20s;
    auto holder =
        std::make_unique<Result<ConnectOrder::Turn>>(other.enter(kHolder, true, later, {}));
    for (const auto& target : {kBad, kNew}) {
        const size_t before = other.waiting();
        threads.emplace_back([&, target] {
            const auto turn = other.enter(target, true, later, {});
            went.push_back(target);
        });
        ASSERT_TRUE(eventually([&] { return other.waiting() == before + 1; }));
    }
    holder.reset();
    EXPECT_EQ(all(), (Targets{kNew, kBad}));
}

// What one process has in the kernel, another one waits for; and when a good target waits in one
// process, a suspicious one of another process does not go.
TEST_F(ConnectOrderTest, ProcessesTakeTurns) {
    connectOnce(kBad, false);
    ConnectOrder suspicious(folder, 0ms), good(folder, 0ms);
    const auto later = ConnectOrder::Clock::now() + 60s;
    auto holder = std::make_unique<Result<ConnectOrder::Turn>>(enter(kHolder));
    ASSERT_TRUE(holder->ok());
    // How long they wait for a stopped process is MachineTurn's test; here nobody is.
    std::thread bad([&] {
        const auto turn = suspicious.enter(kBad, true, later, {});
        std::lock_guard lock(mutex);
        went.push_back(kBad);
    });
    ASSERT_TRUE(eventually([&] { return suspicious.waiting() == 1; }));
    std::thread best([&] {
        const auto turn = good.enter(kNew, true, later, {});
        std::lock_guard lock(mutex);
        went.push_back(kNew);
    });
    ASSERT_TRUE(eventually([&] { return good.waiting() == 1; }));
    holder.reset();
    best.join();
    bad.join();
    EXPECT_EQ(went, (Targets{kNew, kBad}));
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
    auto options = host.options();
    options.connectTimeout = 1s;
    const auto initiator = makeInitiator(host, fabrics, options);
    fabrics->failProbeWith = ETIMEDOUT;
    EXPECT_EQ(initiator->connect(kAddress, kNqn).error().code, ETIMEDOUT);
    EXPECT_EQ(fabrics->connects, 0);
    EXPECT_GT(fabrics->probes, 1) << "too slow once is not too slow for good";
}

// A key that a target rejects is the matter of the process that has it.
TEST(ConnectOrderOfAnInitiator, AWrongKeyIsNothingAgainstTheTarget) {
    FakeHost host;
    const auto wrong = std::make_shared<FakeFabrics>(host),
               right = std::make_shared<FakeFabrics>(host);
    wrong->failProbeWith = EKEYREJECTED;
    EXPECT_EQ(makeInitiator(host, wrong)->connect(kAddress, kNqn).error().code, EKEYREJECTED);
    EXPECT_EQ(wrong->connects, 0) << "it is none of the kernel's business";
    EXPECT_EQ(wrong->probes, 1) << "it does not become right by itself";
    const auto folder = std::make_shared<RunFolder>(host.options().runRoot);
    EXPECT_FALSE(HoldUps(folder).of(kAddress).suspicious);
    EXPECT_TRUE(makeInitiator(host, right)->connect(kAddress, kNqn).ok());
}

// The kernel begins with the keys with which the probe got through: it may have to wait a minute
// for what comes of others.
TEST(ConnectOrderOfAnInitiator, TheKernelGetsTheKeysThatTheProbeGotThroughWith) {
    for (const bool old : {false, true}) {
        FakeHost host;
        const auto fabrics = std::make_shared<FakeFabrics>(host);
        fabrics->withOldKeys = old;
        EXPECT_TRUE(makeInitiator(host, fabrics)->connect(kAddress, kNqn).ok());
        EXPECT_EQ(fabrics->connectsWithOldKeys, old);
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
