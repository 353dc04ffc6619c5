// SPDX-License-Identifier: Apache-2.0
// A limit of threads, as a container has: whoever cannot do without one says so, and goes on when
// there is one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>

#include "memory_storage.h"
#include "p2p_listener.h"
#include "record_keeper.h"
#include "resolver.h"
#include "thread_limit.h"
#include "transfer_engine.h"

namespace mooncake::test {
namespace {

using ::test_support::ThreadLimit;
using ::testing::HasSubstr;

constexpr auto kNone = ThreadLimit::Fails::kAllFrom;
constexpr char kLimit[] = "pids.max of the cgroup (TasksMax of a systemd unit";

TEST(ThreadsTest, NothingIsPublishedThatNobodyLooksAfter) {
    auto storage = std::make_shared<MemoryStorage>();
    std::mutex order;
    RecordKeeper keeper(storage, std::chrono::hours(1), &order, "incarnation");
    const std::lock_guard lock(order);
    std::string value;
    {
        const ThreadLimit limit(1, kNone);
        const auto refused = keeper.set("mooncake/ram/node", "value", true);
        EXPECT_EQ(refused.outcome, MetadataStorage::Outcome::kFailed);
        EXPECT_THAT(refused.error, HasSubstr(kLimit));
        EXPECT_EQ(storage->get("mooncake/ram/node", &value).outcome,
                  MetadataStorage::Outcome::kNotFound);
        EXPECT_EQ(keeper.publications("mooncake/ram/node").failed, 1u);
    }
    EXPECT_TRUE(keeper.set("mooncake/ram/node", "value", true).ok());
    EXPECT_TRUE(storage->get("mooncake/ram/node", &value).ok());
}

TEST(ThreadsTest, ALookUpThatHasNoneSaysSo) {
    Resolver resolver(Resolver::Limits(), [](const std::string&, Resolver::Addresses* found) {
        found->resize(1);
        return 0;
    });
    Resolver::Addresses addresses;
    const auto deadline = Resolver::Clock::now() + std::chrono::minutes(1);
    {
        const ThreadLimit limit(1, kNone);
        const Status status = resolver.resolve("node.example", deadline, &addresses);
        EXPECT_FALSE(status.ok());
        EXPECT_THAT(std::string(status.message()), HasSubstr(kLimit));
    }
    EXPECT_TRUE(resolver.resolve("node.example", deadline, &addresses).ok());
}

TEST(ThreadsTest, ANodeThatCannotAnswerOthersIsNotInitialised) {
    TransferEngine engine;
    {
        const ThreadLimit limit(1, kNone);
        EXPECT_NE(engine.init("P2PHANDSHAKE", "127.0.0.1:0"), 0);
        EXPECT_TRUE(limit.reached());
    }
    EXPECT_EQ(engine.init("P2PHANDSHAKE", "127.0.0.1:0"), 0);
}

}  // namespace
}  // namespace mooncake::test
