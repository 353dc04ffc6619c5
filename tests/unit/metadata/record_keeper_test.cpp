// SPDX-License-Identifier: Apache-2.0
// Case 45: what a store loses, or was never told because it was away, comes to it later. And two
// processes of one name, whose records no clock tells apart.
#include "record_keeper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "incarnation.h"
#include "memory_storage.h"
#include "record_owner.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using Result = MetadataStorage::Result;
using Outcome = MetadataStorage::Outcome;

constexpr char kKey[] = "mooncake/rpc_meta/node";
constexpr char kSegmentKey[] = "mooncake/ram/node";

// What the process `incarnation` publishes as its value `host`.
std::string record(const std::string& incarnation, const std::string& host) {
    return R"({"incarnation":")" + incarnation + R"(","ip_or_host_name":")" + host +
           R"(","rpc_port":1})";
}

// A process that publishes. Its rounds are the test's to make, or, with an interval, its own.
struct Process {
    Process(std::shared_ptr<MemoryStorage> storage, std::string name,
            std::chrono::milliseconds interval = std::chrono::milliseconds(0))
        : incarnation(std::move(name)), keeper(std::move(storage), interval, &order, incarnation) {}

    Result set(const std::string& host, bool insist = true, const char* key = kKey) {
        std::lock_guard lock(order);
        return keeper.set(key, record(incarnation, host), insist);
    }
    Result remove(const char* key = kKey) {
        std::lock_guard lock(order);
        return keeper.remove(key);
    }
    void rounds(int count) {
        for (int i = 0; i < count; ++i) keeper.lookAfter();
    }

    const std::string incarnation;
    std::mutex order;
    RecordKeeper keeper;
};

class RecordKeeperTest : public ::testing::Test {
 protected:
    RecordKeeperTest() {
        storage_->hook = [this](const char* operation, const std::string&) {
            if (std::string(operation) != "get") ++changes_;
            return failing_ ? Result{Outcome::kFailed, "told to fail"} : Result{};
        };
    }
    std::string stored(const char* key = kKey) {
        const auto values = storage_->values();
        const auto found = values.find(key);
        return found == values.end() ? "(none)" : found->second;
    }
    // What is stored without the question that somebody may have put into it.
    std::string hostStored() {
        const std::string text = stored();
        const size_t begin = text.find("\"ip_or_host_name\":\"") + 19;
        return begin < 19 ? text : text.substr(begin, text.find('"', begin) - begin);
    }
    // Past every keeper.
    void put(const std::string& value, const char* key = kKey) {
        const bool failing = failing_.exchange(false);
        storage_->set(key, value);
        failing_ = failing;
    }
    void lose(const char* key = kKey) { ASSERT_TRUE(storage_->remove(key).ok()); }

    std::atomic<bool> failing_{false};
    std::atomic<int> changes_{0};
    std::shared_ptr<MemoryStorage> storage_ = std::make_shared<MemoryStorage>();
    Process a_{storage_, "incarnation-a"};
    Process b_{storage_, "incarnation-b"};
};

TEST_F(RecordKeeperTest, PublishesAgainWhatTheStoreLost) {
    ASSERT_TRUE(a_.set("a").ok());
    ASSERT_TRUE(a_.set("a", true, kSegmentKey).ok());
    lose();
    lose(kSegmentKey);
    a_.rounds(3);
    EXPECT_EQ(stored(), record("incarnation-a", "a"));
    EXPECT_EQ(stored(kSegmentKey), record("incarnation-a", "a"));
}

// A store that comes back with a copy of earlier days has an older publication of the same process.
TEST_F(RecordKeeperTest, ReplacesItsOwnOlderRecordAndGarbage) {
    ASSERT_TRUE(a_.set("new").ok());
    for (const std::string& found :
         {record("incarnation-a", "old"), record("incarnation-a", "zzz"), std::string("garbage"),
          std::string(), std::string("[]"), std::string("{\"name\":1}")}) {
        put(found);
        a_.rounds(1);
        EXPECT_EQ(stored(), record("incarnation-a", "new")) << found;
    }
}

TEST_F(RecordKeeperTest, LeavesItsRecordInAnotherFormAlone) {
    ASSERT_TRUE(a_.set("a").ok());
    put(R"({ "rpc_port": 1, "ip_or_host_name": "a", "incarnation": "incarnation-a" })");
    changes_ = 0;
    a_.rounds(5);
    EXPECT_EQ(changes_, 0);
}

// The thread does it, too.
TEST_F(RecordKeeperTest, LooksByItself) {
    Process process(storage_, "incarnation-t", std::chrono::milliseconds(1));
    ASSERT_TRUE(process.set("t").ok());
    lose();
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (stored() == "(none)" && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_EQ(stored(), record("incarnation-t", "t"));
}

// What is still to be done is tried in every round, and addresses are looked at; other records,
// which may be large, less often, since most of the time nothing is wrong with them.
TEST_F(RecordKeeperTest, LooksAtSegmentsLessOften) {
    ASSERT_TRUE(a_.set("a").ok());
    ASSERT_TRUE(a_.set("a", true, kSegmentKey).ok());
    std::map<std::string, int> looks;
    storage_->hook = [&](const char* operation, const std::string& key) {
        if (std::string(operation) == "get") ++looks[key];
        return Result{};
    };
    a_.rounds(30);
    EXPECT_EQ(looks[kKey], 30);
    EXPECT_EQ(looks[kSegmentKey], 10);
    failing_ = true;
    storage_->hook = [&](const char* operation, const std::string&) {
        if (std::string(operation) != "get") ++changes_;
        return Result{Outcome::kFailed, "told to fail"};
    };
    EXPECT_FALSE(a_.set("b", true, kSegmentKey).ok());
    changes_ = 0;
    a_.rounds(5);
    EXPECT_EQ(changes_, 5);
    EXPECT_EQ(looks[kKey], 30) << "no time limit is spent on a store that does not answer";
}

TEST_F(RecordKeeperTest, InsistsOnlyWhereItIsAskedTo) {
    ASSERT_TRUE(a_.set("b").ok());
    storage_->loses_answers = true;
    EXPECT_FALSE(a_.set("c", false).ok());
    storage_->loses_answers = false;
    EXPECT_EQ(hostStored(), "c");
    a_.rounds(1);
    EXPECT_EQ(hostStored(), "b");
    failing_ = true;
    EXPECT_FALSE(a_.set("d").ok());
    failing_ = false;
    a_.rounds(1);
    EXPECT_EQ(hostStored(), "d");
}

TEST_F(RecordKeeperTest, CountsPublicationsAlsoThoseThatItMakesByItself) {
    const auto counts = [&](const char* key = kKey) {
        const auto all = a_.keeper.publications(key);
        EXPECT_EQ(all.last == std::chrono::steady_clock::time_point(), all.succeeded == 0);
        return std::to_string(all.current) + " " + std::to_string(all.succeeded) + " " +
               std::to_string(all.failed);
    };
    EXPECT_EQ(counts(), "0 0 0");
    a_.keeper.noteRefused(kKey);
    EXPECT_EQ(counts(), "0 0 1");
    failing_ = true;
    EXPECT_FALSE(a_.set("a").ok());
    EXPECT_EQ(counts(), "0 0 2") << "it was never there";
    failing_ = false;
    ASSERT_TRUE(a_.set("a").ok());
    EXPECT_EQ(counts(), "1 1 2");
    failing_ = true;
    EXPECT_FALSE(a_.set("b").ok());
    EXPECT_EQ(counts(), "0 1 3");
    failing_ = false;
    a_.rounds(1);
    EXPECT_EQ(counts(), "1 2 3");
    lose();
    a_.rounds(1);
    EXPECT_EQ(counts(), "1 3 3");
    put(record("incarnation-x", "x"));
    a_.rounds(1);
    EXPECT_EQ(counts(), "0 3 3") << "the name is another's";
    EXPECT_EQ(counts(kSegmentKey), "0 0 0");
    ASSERT_TRUE(a_.set("a", true, kSegmentKey).ok());
    ASSERT_TRUE(a_.remove(kSegmentKey).ok());
    EXPECT_EQ(counts(kSegmentKey), "0 1 0");
}

// A transport that could not publish its segment gives it up; nobody may publish it later.
TEST_F(RecordKeeperTest, NeverPublishesWhatItCouldNotPublishAtFirst) {
    failing_ = true;
    EXPECT_FALSE(a_.set("b").ok());
    failing_ = false;
    a_.rounds(6);
    EXPECT_EQ(stored(), "(none)");
    // It may be there all the same.
    EXPECT_EQ(a_.keeper.keys(), (std::vector<std::string>{kKey}));
    storage_->loses_answers = true;
    EXPECT_FALSE(a_.set("b").ok());
    storage_->loses_answers = false;
    EXPECT_TRUE(a_.remove().ok());
    EXPECT_EQ(stored(), "(none)");
}

TEST_F(RecordKeeperTest, RemovesWhatItCouldNotRemoveBefore) {
    ASSERT_TRUE(a_.set("b").ok());
    failing_ = true;
    EXPECT_FALSE(a_.remove().ok());
    EXPECT_EQ(a_.keeper.keys(), (std::vector<std::string>{kKey}));
    EXPECT_FALSE(a_.keeper.publications(kKey).current) << "it is not to be there";
    failing_ = false;
    a_.rounds(1);
    EXPECT_EQ(stored(), "(none)");
    ASSERT_TRUE(a_.set("c").ok()) << "it can come back";
    EXPECT_EQ(hostStored(), "c");
    EXPECT_TRUE(a_.remove().ok());
    EXPECT_TRUE(a_.keeper.keys().empty());
}

// The store did it and the answer got lost: that is no other process's doing.
TEST_F(RecordKeeperTest, KnowsItsOwnDoingWhoseAnswerGotLost) {
    for (const bool before : {false, true}) {
        if (before) {
            ASSERT_TRUE(a_.set("first").ok());
        }
        storage_->loses_answers = true;
        EXPECT_EQ(a_.set("second").outcome, Outcome::kFailed);
        storage_->loses_answers = false;
        EXPECT_TRUE(a_.set("third").ok());
        EXPECT_EQ(hostStored(), "third");
        storage_->loses_answers = true;
        EXPECT_EQ(a_.remove().outcome, Outcome::kFailed);
        storage_->loses_answers = false;
        EXPECT_TRUE(a_.remove().ok());
    }
}

// Case 44
TEST_F(RecordKeeperTest, WhatIsRemovedOrReplacedMeanwhileIsNotPublishedAgain) {
    Process process(storage_, "incarnation-t", std::chrono::milliseconds(1));
    for (int i = 0; i < 200; ++i) {
        const std::string value = "v" + std::to_string(i);
        ASSERT_TRUE(process.set(value).ok());
        storage_->remove(kKey);
        ASSERT_TRUE(process.set(value + "+").ok());
        ASSERT_EQ(hostStored(), value + "+");
        ASSERT_TRUE(process.remove().ok());
        ASSERT_EQ(stored(), "(none)");
    }
}

// Start the new node, then stop the old one.
TEST_F(RecordKeeperTest, WhoLeavesTakesTheSuccessorsRecordNotAway) {
    ASSERT_TRUE(a_.set("old").ok());
    ASSERT_TRUE(b_.set("new").ok());
    EXPECT_TRUE(a_.remove().ok());
    EXPECT_EQ(stored(), record("incarnation-b", "new"));
    EXPECT_TRUE(a_.keeper.keys().empty());
    EXPECT_TRUE(b_.remove().ok());
    EXPECT_EQ(stored(), "(none)");
}

// Two that live, a minute of rounds and more: the one that published last has the name, whatever
// either of them does, and gets it by no clock.
TEST_F(RecordKeeperTest, TwoOfOneNameDoNotFight) {
    ASSERT_TRUE(a_.set("a").ok());
    ASSERT_TRUE(b_.set("b").ok());
    for (int round = 0; round < 60; ++round) {
        a_.rounds(1);
        b_.rounds(1);
        ASSERT_EQ(hostStored(), "b") << "round " << round;
        const Result result = a_.set("a" + std::to_string(round));
        ASSERT_EQ(result.outcome, Outcome::kConflict);
        EXPECT_THAT(result.error, HasSubstr("at b port 1"));
        ASSERT_EQ(hostStored(), "b") << "round " << round;
    }
    // It says whom it found, and says no more once it knows that one.
    changes_ = 0;
    a_.rounds(20);
    b_.rounds(20);
    EXPECT_EQ(changes_, 0);
    // Nor does who had the name once take it again.
    EXPECT_TRUE(a_.remove().ok());
    EXPECT_EQ(a_.set("again").outcome, Outcome::kConflict);
    EXPECT_EQ(stored(), record("incarnation-b", "b"));
    // When the other one has left in order, the name is free.
    EXPECT_TRUE(b_.remove().ok());
    EXPECT_TRUE(a_.set("again").ok());
}

TEST_F(RecordKeeperTest, WhoLostTheNameHasItAgainWhenTheOtherLeaves) {
    ASSERT_TRUE(a_.set("a").ok());
    ASSERT_TRUE(b_.set("b").ok());
    a_.rounds(3);
    EXPECT_EQ(a_.set("later").outcome, Outcome::kConflict);
    EXPECT_TRUE(b_.remove().ok());
    a_.rounds(1);
    EXPECT_EQ(stored(), record("incarnation-a", "later"));
}

// A store that is restored has what a predecessor published, one that has left in order long ago.
TEST_F(RecordKeeperTest, WhatNobodyAnswersForIsReplaced) {
    for (const char* key : {kKey, kSegmentKey}) {
        ASSERT_TRUE(a_.set("a", true, key).ok());
        put(record("incarnation-of-long-ago", "old"), key);
        a_.rounds(3);
        EXPECT_THAT(stored(key), HasSubstr("of-long-ago")) << "it is asked first";
        a_.rounds(3 * 8);
        EXPECT_EQ(stored(key), record("incarnation-a", "a"));
    }
}

// While the store is away nobody can answer; that is no silence.
TEST_F(RecordKeeperTest, AStoreThatIsAwayMakesNobodyDead) {
    ASSERT_TRUE(a_.set("a").ok());
    ASSERT_TRUE(b_.set("b").ok());
    a_.rounds(1);
    failing_ = true;
    a_.rounds(100);
    failing_ = false;
    a_.rounds(1);
    b_.rounds(1);
    a_.rounds(20);
    EXPECT_EQ(stored(), record("incarnation-b", "b"));
}

// Mooncake's nodes have no incarnation, and do not know the question.
TEST_F(RecordKeeperTest, LeavesWhoCannotBeAskedAlone) {
    const std::string found = R"({"ip_or_host_name":"mooncake","rpc_port":1})";
    ASSERT_TRUE(a_.set("a").ok());
    put(found);
    changes_ = 0;
    a_.rounds(50);
    EXPECT_EQ(stored(), found);
    EXPECT_EQ(changes_, 0);
}

// What lies there changes between the look and the publication.
TEST_F(RecordKeeperTest, PublishesOnlyOverWhatItSaw) {
    ASSERT_TRUE(a_.set("a").ok());
    for (const std::string& seen :
         {std::string(), record("incarnation-a", "old"), std::string("garbage")}) {
        if (seen.empty()) {
            storage_->remove(kKey);
        } else {
            put(seen);
        }
        bool came = false;
        storage_->hook = [&](const char* operation, const std::string& key) {
            if (std::string(operation) == "set" && !came) {
                came = true;
                storage_->set(key, record("incarnation-b", "b"));
            }
            return Result{};
        };
        a_.rounds(1);
        EXPECT_TRUE(came);
        EXPECT_EQ(stored(), record("incarnation-b", "b")) << seen;
        storage_->hook = [](const char*, const std::string&) { return Result{}; };
    }
}

std::string ofAnEndedProcess() {
    // The same process id, started at another time.
    std::string incarnation = newIncarnation();
    incarnation += "1";
    return incarnation;
}

TEST(IncarnationTest, TellsWhoHasEnded) {
    const std::string own = newIncarnation();
    EXPECT_NE(own, newIncarnation());
    ASSERT_NE(own.find('@'), std::string::npos) << own;
    EXPECT_FALSE(hasEnded(own));
    EXPECT_TRUE(hasEnded(ofAnEndedProcess()));
    const size_t start = own.rfind(':');
    const size_t process = own.rfind(':', start - 1);
    EXPECT_TRUE(hasEnded(own.substr(0, process) + ":2147483647" + own.substr(start)));
    // Of another machine, boot or container nothing is known, and of no other text.
    std::string elsewhere = own;
    elsewhere[own.find('@') + 1] ^= 1;
    for (const std::string& text :
         {elsewhere, std::string(), own.substr(0, own.find('@')), own + ":1",
          std::string("x@a:b:../self:1"), std::string("x@:::")}) {
        EXPECT_FALSE(hasEnded(text)) << text;
    }
    EXPECT_EQ(shortIncarnation(own), own.substr(0, 8) + ", process " + std::to_string(getpid()));
    EXPECT_EQ(shortIncarnation("abc"), "abc");
}

TEST_F(RecordKeeperTest, AProcessOfThisMachineThatHasEndedIsNotWaitedFor) {
    const std::string ended = ofAnEndedProcess();
    // At the start, with an hour for the answer.
    put(record(ended, "crashed"));
    Process starts(storage_, "incarnation-s", std::chrono::hours(1));
    starts.keeper.takeOver(false);
    ASSERT_TRUE(starts.set("s").ok());
    EXPECT_EQ(hostStored(), "s");
    // And later.
    put(record(ended, "crashed"));
    starts.rounds(1);
    EXPECT_EQ(stored(), record("incarnation-s", "s"));
}

// A start under the name of a node that lives, which looks after its record meanwhile.
TEST_F(RecordKeeperTest, AStartIsRefusedWhileTheOtherLives) {
    Process lives(storage_, "incarnation-l", std::chrono::milliseconds(1));
    ASSERT_TRUE(lives.set("l").ok());
    Process starts(storage_, "incarnation-s", std::chrono::seconds(2));
    starts.keeper.takeOver(false);
    const Result result = starts.set("s");
    EXPECT_EQ(result.outcome, Outcome::kConflict);
    EXPECT_THAT(result.error, HasSubstr("at l port 1"));
    EXPECT_TRUE(starts.keeper.keys().empty());
    EXPECT_EQ(stored(), record("incarnation-l", "l")) << "nothing is left of the question";
    ASSERT_TRUE(lives.remove().ok());
    EXPECT_TRUE(starts.set("s").ok()) << "it has left";
}

TEST_F(RecordKeeperTest, AStartGoesOnWhereNobodyAnswers) {
    for (const char* key : {kKey, kSegmentKey}) {
        put(record("incarnation-of-another-machine", "crashed"), key);
        Process starts(storage_, "incarnation-s", std::chrono::milliseconds(10));
        starts.keeper.takeOver(false);
        ASSERT_TRUE(starts.set("s", true, key).ok());
        EXPECT_EQ(stored(key), record("incarnation-s", "s"));
    }
    // Who cannot be asked is not waited for.
    put(R"({"ip_or_host_name":"mooncake","rpc_port":1})");
    Process hasty(storage_, "incarnation-h", std::chrono::hours(1));
    hasty.keeper.takeOver(false);
    EXPECT_TRUE(hasty.set("h").ok());
}

// Two successors of one that crashed, at a time.
TEST_F(RecordKeeperTest, OneOfTwoStartsHasTheName) {
    put(record("incarnation-of-another-machine", "crashed"));
    std::atomic<int> have{0}, refused{0};
    Process one(storage_, "incarnation-1", std::chrono::seconds(1));
    Process two(storage_, "incarnation-2", std::chrono::seconds(1));
    std::vector<std::thread> threads;
    for (Process* process : {&one, &two}) {
        process->keeper.takeOver(false);
        threads.emplace_back([&, process] {
            const Result result = process->set("s");
            if (result.ok()) ++have;
            if (result.outcome == Outcome::kConflict) ++refused;
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(have, 1);
    EXPECT_EQ(refused, 1);
}

// It leaves while it is asked.
TEST_F(RecordKeeperTest, AStartGoesOnWhereTheOtherLeavesMeanwhile) {
    ASSERT_TRUE(a_.set("a").ok());
    Process starts(storage_, "incarnation-s", std::chrono::seconds(2));
    starts.keeper.takeOver(false);
    std::thread leaves([&] {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (ownerOf(stored()).challenge.empty() && std::chrono::steady_clock::now() < limit) {
            std::this_thread::yield();
        }
        EXPECT_TRUE(a_.remove().ok());
    });
    EXPECT_TRUE(starts.set("s").ok());
    leaves.join();
    EXPECT_EQ(hostStored(), "s");
}

TEST(RecordOwnerTest, ReadsRecordsOfAllKinds) {
    EXPECT_TRUE(ownerOf("").garbage);
    EXPECT_TRUE(ownerOf("{}").garbage);
    EXPECT_TRUE(ownerOf(R"({"incarnation":7})").garbage);
    EXPECT_FALSE(ownerOf(R"({"incarnation":"x","of":"a later release"})").garbage);
    const RecordOwner segment = ownerOf(
        R"({"name":"n","protocol":"nvmeof_generic","incarnation":"x","nvmeof_generic_trid":)"
        R"({"trtype":"tcp","adrfam":"ipv4","traddr":"192.0.2.1","trsvcid":"4420","subnqn":"q"}})");
    EXPECT_FALSE(segment.garbage);
    EXPECT_EQ(segment.text(), "incarnation x, at 192.0.2.1 port 4420");
    EXPECT_THAT(ownerOf(R"({"ip_or_host_name":"h\u000a","rpc_port":2})").text(),
                HasSubstr("at h. port 2"));
    const std::string asked = withChallenge(record("x", "h"), "y");
    EXPECT_EQ(ownerOf(asked).challenge, "y");
    EXPECT_EQ(ownerOf(asked).incarnation, "x");
    EXPECT_FALSE(sayTheSame(asked, record("x", "h")));
    EXPECT_TRUE(sayTheSame("garbage", "garbage"));
    EXPECT_FALSE(sayTheSame("garbage", "other"));
}

}  // namespace
}  // namespace mooncake::test
