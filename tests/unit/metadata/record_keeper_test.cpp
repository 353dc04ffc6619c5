// SPDX-License-Identifier: Apache-2.0
// Case 45: what a store loses, or was never told because it was away, comes to it later.
#include "record_keeper.h"

#include <gtest/gtest.h>

#include "memory_storage.h"

namespace mooncake::test {
namespace {

using Result = MetadataStorage::Result;
using Outcome = MetadataStorage::Outcome;

class RecordKeeperTest : public ::testing::Test {
 protected:
    RecordKeeperTest() {
        storage_->hook = [this](const char* operation, const std::string& key) {
            if (key == kProbe) return Result{};
            if (std::string(operation) == "get") ++looks_;
            return failing_ ? Result{Outcome::kFailed, "told to fail"} : Result{};
        };
    }
    Result set(const std::string& value, bool insist = true) {
        std::lock_guard lock(order_);
        return keeper_.set("key", value, insist);
    }
    Result remove() {
        std::lock_guard lock(order_);
        return keeper_.remove("key");
    }
    // What lies in the store under "key" once it is `wanted`, or after a minute.
    std::string stored(const std::string& wanted) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        for (;;) {
            const auto values = storage_->values();
            const auto found = values.find("key");
            const std::string value = found == values.end() ? "(none)" : found->second;
            if (value == wanted || std::chrono::steady_clock::now() > deadline) return value;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    // Returns after a look at the store that began after the call.
    void waitForALook() {
        const int seen = looks_;
        while (looks_ < seen + 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // Past the keeper.
    void put(const std::string& value) {
        std::lock_guard lock(order_);
        const bool failing = failing_.exchange(false);
        storage_->set("key", value);
        failing_ = failing;
    }

    static constexpr char kProbe[] = "probe";
    std::atomic<bool> failing_{false};
    std::atomic<int> looks_{0};
    std::mutex order_;
    std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
    // Values give way in the order of the alphabet.
    RecordKeeper keeper_{
        storage_, std::chrono::milliseconds(1), &order_,
        [](const std::string& found, const std::string& own) { return found < own; }};
};

TEST_F(RecordKeeperTest, PublishesAgainWhatTheStoreLost) {
    ASSERT_TRUE(set("b").ok());
    ASSERT_TRUE(storage_->remove("key").ok());
    EXPECT_EQ(stored("b"), "b");
}

TEST_F(RecordKeeperTest, ReplacesWhatIsOlderAndLeavesWhatIsNewer) {
    ASSERT_TRUE(set("b").ok());
    put("a");
    EXPECT_EQ(stored("b"), "b");
    put("c");
    waitForALook();
    EXPECT_EQ(stored("c"), "c");
    ASSERT_TRUE(set("d").ok());
    EXPECT_EQ(stored("d"), "d");
}

// What is still to be done is tried in every round; what has been published is looked at less
// often, since most of the time nothing is wrong with it.
TEST_F(RecordKeeperTest, LooksLessOftenThanItTries) {
    std::atomic<int> tries{0}, looks{0};
    std::atomic<bool> refusing{false};
    storage_->hook = [&](const char* operation, const std::string& key) {
        if (key == "key" && std::string(operation) == "get") ++looks;
        if (key != "stuck" || !refusing) return Result{};
        ++tries;
        return Result{Outcome::kFailed, "told to fail"};
    };
    ASSERT_TRUE(set("b").ok());
    std::unique_lock lock(order_);
    ASSERT_TRUE(keeper_.set("stuck", "x", true).ok());
    refusing = true;
    EXPECT_FALSE(keeper_.set("stuck", "y", true).ok());
    tries = looks = 0;
    lock.unlock();
    while (tries < 30) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_LE(looks, tries / 3 + 1);
    refusing = false;
    while (storage_->values()["stuck"] != "y") {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

// A write-once store refuses what it has already.
TEST_F(RecordKeeperTest, LooksAfterWhatWasThereAlready) {
    put("b");
    failing_ = true;
    EXPECT_FALSE(set("b").ok());
    failing_ = false;
    {
        std::lock_guard lock(order_);
        keeper_.confirm("key", "b");
    }
    ASSERT_TRUE(storage_->remove("key").ok());
    EXPECT_EQ(stored("b"), "b");
}

TEST_F(RecordKeeperTest, InsistsOnlyWhereItIsAskedTo) {
    ASSERT_TRUE(set("b").ok());
    failing_ = true;
    EXPECT_FALSE(set("c", false).ok());
    put("c");  // as if the answer alone had been lost
    failing_ = false;
    EXPECT_EQ(stored("b"), "b");
    failing_ = true;
    EXPECT_FALSE(set("d").ok());
    failing_ = false;
    EXPECT_EQ(stored("d"), "d");
}

// A transport that could not publish its segment gives it up; nobody may publish it later.
TEST_F(RecordKeeperTest, NeverPublishesWhatItCouldNotPublishAtFirst) {
    ASSERT_TRUE([&] {
        std::lock_guard lock(order_);
        return keeper_.set("other", "x", true).ok();
    }());
    failing_ = true;
    EXPECT_FALSE(set("b").ok());
    failing_ = false;
    waitForALook();
    EXPECT_EQ(storage_->values().count("key"), 0u);
    // It may be there all the same.
    EXPECT_EQ(keeper_.keys(), (std::vector<std::string>{"key", "other"}));
}

TEST_F(RecordKeeperTest, RemovesWhatItCouldNotRemoveBefore) {
    ASSERT_TRUE(set("b").ok());
    failing_ = true;
    EXPECT_FALSE(remove().ok());
    EXPECT_EQ(keeper_.keys(), (std::vector<std::string>{"key"}));
    failing_ = false;
    EXPECT_EQ(stored("(none)"), "(none)");
    ASSERT_TRUE(set("c").ok()) << "it can come back";
    EXPECT_EQ(stored("c"), "c");
    EXPECT_TRUE(remove().ok());
    EXPECT_TRUE(keeper_.keys().empty());
}

// Case 44
TEST_F(RecordKeeperTest, WhatIsRemovedOrReplacedMeanwhileIsNotPublishedAgain) {
    for (int i = 0; i < 200; ++i) {
        const std::string value = "v" + std::to_string(1000 + i);
        ASSERT_TRUE(set(value).ok());
        storage_->remove("key");
        ASSERT_TRUE(set(value + "+").ok());
        ASSERT_EQ(storage_->values()["key"], value + "+");
        ASSERT_NE(remove().outcome, Outcome::kFailed);
        ASSERT_EQ(storage_->values().count("key"), 0u);
    }
}

}  // namespace
}  // namespace mooncake::test
