// SPDX-License-Identifier: Apache-2.0
// Memory runs out while a connection is made or kept.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <new>
#include <thread>

#include "connect_order.h"
#include "connection_table.h"
#include "fake_host.h"
#include "memory_limit.h"
#include "thread_limit.h"

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const TransportAddress kSecond{"tcp", "ipv4", "198.51.100.7", "4420"};
const TransportAddresses kBoth{kAddress, kSecond};

class WithoutMemoryTest : public testing::TestWithParam<bool> {
 protected:
    WithoutMemoryTest() {
        const auto folder = host.sys() / "module/nvme_core/parameters";
        std::filesystem::create_directories(folder);
        FakeHost::write(folder / "multipath", "Y");
        auto options = host.options();
        options.allPaths = GetParam();
        // Needs some.
        fabrics->onProbe = [](const Path& path, const auto&) {
            return toString(path).empty() ? EINVAL : 0;
        };
        initiator = makeInitiator(host, fabrics, options);
    }
    bool bothAreUp(const std::shared_ptr<Connection>& connection) {
        return eventually([&] {
            for (const auto& path : connection->paths()->read()) {
                if (path.state != "live") return false;
            }
            return true;
        });
    }

    bool noController() const { return std::filesystem::is_empty(host.sys() / "class/nvme"); }

    FakeHost host;
    std::shared_ptr<FakeFabrics> fabrics = std::make_shared<FakeFabrics>(host);
    std::unique_ptr<Initiator> initiator;
};

INSTANTIATE_TEST_SUITE_P(Paths, WithoutMemoryTest, testing::Bool(),
                         [](const auto& all) { return all.param ? "All" : "One"; });

// Who asks next must not wait for a result that nobody makes any more.
TEST(ConnectionTable, AnAttemptThatHadNoneIsOver) {
    ConnectionTable table;
    const auto first =
        table.get("key", {}, []() -> ConnectionTable::Connected { throw std::bad_alloc(); });
    ASSERT_FALSE(first.ok());
    EXPECT_EQ(first.error().code, ENOMEM);
    EXPECT_THAT(first.error().message, HasSubstr("cannot connect to key"));
    const auto second = table.get("key", {}, []() -> ConnectionTable::Connected {
        return Error{ECONNREFUSED, {}};
    });
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, ECONNREFUSED);
}

// Whatever cannot be allocated, the turn passes on.
TEST(ConnectOrder, ATurnWithoutMemoryPassesOn) {
    using namespace std::chrono_literals;
    FakeHost host;
    const auto folder = std::make_shared<RunFolder>(host.options().runRoot);
    // Each failure is a slow one, which is remembered.
    for (const bool succeeds : {false, true}) {
        ConnectOrder order(folder, succeeds ? 3s : 0s);
        int refused = 1;
        for (long allowed = 0; refused > 0; ++allowed) {
            // A new network each time: this is about no reputation.
            const TransportAddress target{
                "tcp", "ipv6", "2001:db8:" + std::to_string(1000 + allowed) + ":5678:9abc:def0:1:2",
                "4420"};
            refused = test_support::withMemoryFor(
                allowed,
                [&] {
                    try {
                        auto turn = order.enter(target, true, ConnectOrder::Clock::now() + 20s, {});
                        if (turn.ok() && succeeds) turn.value().succeeded();
                    } catch (const std::bad_alloc&) {
                        // Its caller is told.
                    }
                },
                test_support::Refused::kOne);
            EXPECT_EQ(order.waiting(), 0u) << allowed;
            auto next = order.enter(kAddress, true, ConnectOrder::Clock::now() + 20s, {});
            ASSERT_TRUE(next.ok()) << allowed << ": " << next.error().message;
            next.value().unused();
        }
    }
}

TEST_P(WithoutMemoryTest, ThreadsThatHaveNoneGoOn) {
    for (const char* thread : {"nvmeof-path", "nvmeof-probe"}) {
        std::shared_ptr<Connection> connection;
        int refusals = 0;
        {
            const test_support::NoMemoryFor none(thread);
            auto connected = initiator->connect(kBoth, kNqn);
            if (connected.ok()) {
                connection = connected.take();
            } else {
                EXPECT_EQ(connected.error().code, ENOMEM);
                EXPECT_THAT(connected.error().message, StartsWith("out of memory"))
                    << "it had none to say more";
            }
            refusals = none.refusals();
        }
        const bool used = GetParam() == (std::string(thread) == "nvmeof-path");
        EXPECT_EQ(refusals > 0, used) << thread;
        EXPECT_EQ(connection == nullptr, used) << thread;
        auto again = initiator->connect(kBoth, kNqn);
        ASSERT_TRUE(again.ok()) << again.error().message;
        EXPECT_TRUE(bothAreUp(again.value()));
    }
}

TEST_P(WithoutMemoryTest, AConnectionThatIsUpLivesOn) {
    auto connected = initiator->connect(kBoth, kNqn);
    ASSERT_TRUE(connected.ok()) << connected.error().message;
    const auto connection = connected.take();
    ASSERT_TRUE(bothAreUp(connection));
    {
        const test_support::NoMemoryFor none("nvmeof-path");
        connection->provokeAnswer(nullptr);
        EXPECT_TRUE(!GetParam() || eventually([&] { return none.refusals() > 0; }));
    }
    EXPECT_TRUE(eventually([&] { return connection->provokeAnswer(nullptr); }));
}

// The kernel is told, sooner or later.
TEST_P(WithoutMemoryTest, AConnectionThatIsGivenUpGoes) {
    enum class Lacks { kThreadMemory, kMemory, kMemoryAndThreads };
    for (const Lacks lacks : {Lacks::kThreadMemory, Lacks::kMemory, Lacks::kMemoryAndThreads}) {
        int refused = 1;
        for (long allowed = 0; refused > 0; ++allowed) {
            auto connected = initiator->connect(kBoth, kNqn);
            ASSERT_TRUE(connected.ok()) << connected.error().message;
            const auto connection = connected.take();
            ASSERT_TRUE(bothAreUp(connection));
            if (lacks == Lacks::kThreadMemory) {
                // It waits for the removal's thread, which gets some before it has had enough.
                std::thread givingUp;
                {
                    const test_support::NoMemoryFor none("nvmeof-removal");
                    givingUp = std::thread([&] { connection->giveUp(); });
                    EXPECT_TRUE(eventually([&] { return none.refusals() > 0; }));
                }
                givingUp.join();
                refused = 0;
            } else {
                const test_support::ThreadLimit threads(lacks == Lacks::kMemory ? 0 : 1,
                                                        test_support::ThreadLimit::Fails::kAllFrom);
                const auto giveUp = [&] {
                    try {
                        connection->giveUp();
                    } catch (const std::bad_alloc&) {
                        // Its caller is told.
                    }
                };
                refused = test_support::withMemoryFor(allowed, giveUp, test_support::Refused::kOne);
                // Does nothing where the first has begun.
                connection->giveUp();
            }
            EXPECT_TRUE(eventually([&] { return noController(); })) << allowed;
        }
    }
}

TEST_P(WithoutMemoryTest, AConnectionThatEndsIsDisconnected) {
    int refused = 1;
    for (long allowed = 0; refused > 0; ++allowed) {
        auto connected = initiator->connect(kBoth, kNqn);
        ASSERT_TRUE(connected.ok()) << connected.error().message;
        auto connection = connected.take();
        connected = Error{0, {}};
        ASSERT_TRUE(bothAreUp(connection));
        refused = test_support::withMemoryFor(
            allowed, [&] { connection.reset(); }, test_support::Refused::kOne);
        EXPECT_TRUE(noController()) << allowed;
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
