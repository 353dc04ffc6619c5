// SPDX-License-Identifier: Apache-2.0
#include "group_commit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <new>
#include <set>

namespace mooncake::store {
namespace {

using std::chrono::steady_clock;

Deadline in(std::chrono::milliseconds time) {
    return steady_clock::now() + time;
}

std::vector<Change> changesOf(std::initializer_list<const char*> keys) {
    std::vector<Change> changes;
    for (const char* key : keys) changes.push_back({key, {}});
    return changes;
}

// Lets each group go on when the test says so.
class Gate {
 public:
    Result<ChangeOutcomes> run(const std::vector<const Change*>& changes, Deadline) {
        std::unique_lock lock(mutex_);
        std::vector<std::string> keys;
        for (const Change* change : changes) keys.push_back(change->key);
        groups_.push_back(keys);
        wake_.notify_all();
        wake_.wait(lock, [this] { return open_ > 0; });
        --open_;
        if (std::exchange(throws_, false)) throw std::bad_alloc();
        if (error_) return tl::unexpected<Error>(*std::exchange(error_, std::nullopt));
        return ChangeOutcomes(changes.size(), ChangeOutcome::kDone);
    }
    void waitForGroups(size_t count) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return groups_.size() >= count; });
    }
    void open(int times = 1, std::optional<Error> error = {}) {
        const std::lock_guard lock(mutex_);
        open_ += times;
        error_ = std::move(error);
        wake_.notify_all();
    }
    void openThrowing() {
        const std::lock_guard lock(mutex_);
        ++open_;
        throws_ = true;
        wake_.notify_all();
    }
    std::vector<std::vector<std::string>> groups() {
        const std::lock_guard lock(mutex_);
        return groups_;
    }

 private:
    std::mutex mutex_;
    std::condition_variable wake_;
    int open_ = 0;
    bool throws_ = false;
    std::optional<Error> error_;
    std::vector<std::vector<std::string>> groups_;
};

struct GroupCommitTest : testing::Test {
    Gate gate;
    GroupCommit commits{
        4, [this](const auto& changes, Deadline deadline) { return gate.run(changes, deadline); }};

    std::future<Result<ChangeOutcomes>> start(std::initializer_list<const char*> keys,
                                              Deadline deadline = in(std::chrono::seconds(60))) {
        return std::async(std::launch::async, [this, changes = changesOf(keys), deadline] {
            return commits.commit(changes, deadline);
        });
    }
    // Until so many calls wait or are under way.
    void waitForCalls(size_t waiting) {
        while (commits.waiting() < waiting) std::this_thread::yield();
    }
};

TEST_F(GroupCommitTest, WhoComesMeanwhileGoesTogether) {
    auto first = start({"a"});
    gate.waitForGroups(1);
    auto second = start({"b"});
    auto third = start({"c", "d"});
    waitForCalls(3);
    gate.open(2);
    for (auto* one : {&first, &second, &third}) {
        const auto outcomes = one->get();
        ASSERT_TRUE(outcomes);
        EXPECT_THAT(*outcomes, testing::Each(ChangeOutcome::kDone));
    }
    const auto groups = gate.groups();
    ASSERT_EQ(groups.size(), 2u);
    EXPECT_THAT(groups[1], testing::UnorderedElementsAre("b", "c", "d"));
    EXPECT_EQ(commits.count().groups, 2u);
    EXPECT_EQ(commits.count().calls, 3u);
}

TEST_F(GroupCommitTest, AGroupHasALimitAndEachKeyOnce) {
    auto one = start({"a", "b", "a", "c", "d", "e", "a"});
    gate.open(10);
    EXPECT_EQ(one.get()->size(), 7u);
    const auto groups = gate.groups();
    ASSERT_EQ(groups.size(), 3u);
    EXPECT_THAT(groups[0], testing::ElementsAre("a", "b", "c", "d"));
    EXPECT_THAT(groups[1], testing::ElementsAre("a", "e"));
    EXPECT_THAT(groups[2], testing::ElementsAre("a"));
}

TEST_F(GroupCommitTest, AnErrorIsForAllInTheGroup) {
    auto first = start({"a"});
    gate.waitForGroups(1);
    auto second = start({"b"});
    waitForCalls(2);
    gate.open(1, Error{Failure::kNoSpace, "full"});
    EXPECT_EQ(first.get().error().failure, Failure::kNoSpace);
    gate.open();
    EXPECT_TRUE(second.get());
}

TEST_F(GroupCommitTest, AfterOneThatThrewTheNextIsDone) {
    auto first = start({"a"});
    gate.waitForGroups(1);
    auto second = start({"b"});
    waitForCalls(2);
    gate.openThrowing();
    const auto outcome = first.get();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().failure, Failure::kInternal);
    gate.open();
    EXPECT_TRUE(second.get());
}

// The leader's time was up, not that of the others.
TEST_F(GroupCommitTest, WhatALeadersDeadlineCutsShortIsDoneAgain) {
    auto first = start({"a"});
    gate.waitForGroups(1);
    gate.open(1, Error{Failure::kTimeout, "late"});
    gate.waitForGroups(2);
    gate.open();
    EXPECT_TRUE(first.get());
    EXPECT_THAT(gate.groups()[1], testing::ElementsAre("a"));
}

TEST_F(GroupCommitTest, WhoWaitsLeavesAtItsDeadline) {
    auto first = start({"a"});
    gate.waitForGroups(1);
    auto second = start({"b"}, in(std::chrono::milliseconds(10)));
    const auto outcome = second.get();
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().failure, Failure::kTimeout);
    auto third = start({"c"});
    waitForCalls(2);
    gate.open(2);
    EXPECT_TRUE(first.get());
    EXPECT_TRUE(third.get());
    EXPECT_THAT(gate.groups()[1], testing::ElementsAre("c")) << "b has gone";
}

// Under a thread sanitizer this is worth more than it looks.
TEST(GroupCommitCrowdTest, EveryCallIsAnsweredOnce) {
    constexpr int kThreads = 16, kCalls = 100;
    std::mutex mutex;
    std::multiset<std::string> done;
    GroupCommit commits(7, [&](const auto& changes, Deadline) -> Result<ChangeOutcomes> {
        const std::lock_guard lock(mutex);
        for (const Change* change : changes) done.insert(change->key);
        return ChangeOutcomes(changes.size(), ChangeOutcome::kDone);
    });
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (int call = 0; call < kCalls; ++call) {
                std::vector<Change> changes;
                for (int key = 0; key < call % 5; ++key) {
                    changes.push_back(
                        {std::to_string(i) + "." + std::to_string(call) + "." + std::to_string(key),
                         {}});
                }
                const auto outcomes = commits.commit(changes, in(std::chrono::seconds(60)));
                ASSERT_TRUE(outcomes);
                EXPECT_EQ(outcomes->size(), changes.size());
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(done.size(), size_t{kThreads * kCalls * 2});
    EXPECT_EQ(std::set<std::string>(done.begin(), done.end()).size(), done.size());
}

}  // namespace
}  // namespace mooncake::store
