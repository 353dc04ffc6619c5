// SPDX-License-Identifier: Apache-2.0
#include "lease_keeper.h"

#include <gtest/gtest.h>

#include <atomic>
#include <new>

namespace mooncake::store {
namespace {

using std::chrono::milliseconds;

template <class Condition>
void waitUntil(const Condition& condition) {
    while (!condition()) std::this_thread::sleep_for(milliseconds(1));
}

TEST(LeaseKeeperTest, RenewsUntilItIsStopped) {
    Counters counters;
    std::atomic<int> renewals{0};
    LeaseKeeper keeper(milliseconds(30), &counters,
                       [&](ClientId client, Deadline) -> Result<BootClock::time_point> {
                           EXPECT_EQ(client, 7u);
                           ++renewals;
                           return BootClock::now() + std::chrono::hours(renewals);
                       });
    EXPECT_FALSE(keeper.lease().holds());
    ASSERT_TRUE(keeper.start(7, BootClock::now()));
    waitUntil([&] { return renewals >= 3; });
    EXPECT_TRUE(keeper.lease().holds());
    EXPECT_EQ(keeper.stop(), 7u);
    EXPECT_EQ(keeper.lease().client, 0u);
    const int before = renewals;
    EXPECT_EQ(keeper.stop(), 0u);
    EXPECT_EQ(renewals, before);
    EXPECT_GE(counters.read().renewals, 3u);
}

TEST(LeaseKeeperTest, TriesAgainWhileTheServerIsAway) {
    Counters counters;
    std::atomic<int> renewals{0};
    LeaseKeeper keeper(milliseconds(30), &counters,
                       [&](ClientId, Deadline) -> Result<BootClock::time_point> {
                           if (++renewals < 4) return failed(Failure::kUnavailable, "away");
                           return BootClock::now() + std::chrono::hours(1);
                       });
    ASSERT_TRUE(keeper.start(7, BootClock::now()));
    EXPECT_EQ(keeper.lease().client, 7u);
    EXPECT_FALSE(keeper.lease().holds()) << "nobody knows";
    waitUntil([&] { return keeper.lease().holds(); });
    EXPECT_EQ(counters.read().leases_lost, 0u);
}

TEST(LeaseKeeperTest, TriesAgainWhereThereWasNoMemory) {
    Counters counters;
    std::atomic<int> renewals{0};
    LeaseKeeper keeper(milliseconds(30), &counters,
                       [&](ClientId, Deadline) -> Result<BootClock::time_point> {
                           if (++renewals < 3) throw std::bad_alloc();
                           return BootClock::now() + std::chrono::hours(1);
                       });
    ASSERT_TRUE(keeper.start(7, BootClock::now()));
    waitUntil([&] { return keeper.lease().holds(); });
    EXPECT_EQ(keeper.stop(), 7u);
}

TEST(LeaseKeeperTest, ALostLeaseStaysLost) {
    Counters counters;
    std::atomic<int> renewals{0};
    LeaseKeeper keeper(milliseconds(30), &counters,
                       [&](ClientId, Deadline) -> Result<BootClock::time_point> {
                           ++renewals;
                           return failed(Failure::kLeaseLost, "lost");
                       });
    keeper.start(7, BootClock::now() + std::chrono::hours(1));
    waitUntil([&] { return keeper.lease().client == 0; });
    EXPECT_FALSE(keeper.lease().holds());
    EXPECT_EQ(counters.read().leases_lost, 1u);
    EXPECT_EQ(keeper.stop(), 0u);
    EXPECT_EQ(renewals, 1);
}

TEST(BootClockTest, GoesOn) {
    const auto before = BootClock::now();
    EXPECT_GT(before.time_since_epoch().count(), 0);
    waitUntil([&] { return BootClock::now() > before; });
}

}  // namespace
}  // namespace mooncake::store
