// SPDX-License-Identifier: Apache-2.0
// Puts whose commits, leases and room are lost in the middle.
#include <atomic>
#include <future>
#include <set>

#include "threadless_client.h"

namespace mooncake::store {
namespace {

using mooncake::test::contentOf;
using mooncake::test::eventually;
using mooncake::test::kMiB;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kSize = 5000;

// That call fails once.
FaultyDirectory::Hook once(const std::string& call, Failure failure) {
    const auto is_over = std::make_shared<std::atomic<bool>>(false);
    return [=](const std::string& name, Deadline) -> Result<> {
        if (name != call || is_over->exchange(true)) return {};
        return failed(failure, "as the test wants it");
    };
}

class PutCallTest : public ThreadlessClientTest {
 protected:
    // Every region of the file is another client's, which is alive.
    static std::vector<Region> takeAll(ThreadlessClient& by, FileNumber file) {
        std::vector<Region> all;
        while (auto region = by.directory.takeRegion(file, DirectoryStub::soon())) {
            all.push_back(*region);
        }
        return all;
    }
    // All of the same bytes.
    static std::vector<ErrorCode> putMany(ThreadlessClient& client, const std::string& prefix,
                                          size_t count, std::string* bytes,
                                          const ReplicateConfig& config = {}) {
        std::vector<std::string> keys;
        for (size_t i = 0; i < count; ++i) keys.push_back(prefix + std::to_string(i));
        const Slice slice{bytes->data(), bytes->size()};
        std::vector<PutCall::Item> items(count);
        for (size_t i = 0; i < count; ++i) {
            items[i].key = &keys[i];
            items[i].slices = {&slice, 1};
        }
        PutCall(client.parts, config, false, DirectoryStub::soon()).run(items);
        std::vector<ErrorCode> codes;
        for (const auto& item : items) {
            codes.push_back(item.result ? ErrorCode::OK : item.result.error());
        }
        return codes;
    }

    const std::unique_ptr<ThreadlessClient> one = client("one");
};

// --- An answer to a commit that was lost

TEST_F(PutCallTest, ACommitWithoutAnAnswerCounts) {
    const FileNumber file = one->mountFile(folder, 8);
    for (const bool replaces : {false, true}) {
        const std::string key = replaces ? "b" : "a";
        one->directory.setHooks(nullptr, once("commit", Failure::kTimeout));
        EXPECT_EQ(one->put(key, kSize, {}, replaces), ErrorCode::OK);
        EXPECT_EQ(one->get(key, kSize), ErrorCode::OK);
    }
    EXPECT_EQ(one->numbers().stored, 2u);
    EXPECT_EQ(one->numbers().existing, 0u);
    EXPECT_EQ(one->numbers().cache_hits, 2u);
    // Its region counts what it has.
    one->open.sealAll(0, DirectoryStub::soon());
    EXPECT_EQ(one->directory.usage(file, DirectoryStub::soon())->use, (RegionUse{2 * kSize, 2}));
}

TEST_F(PutCallTest, ItIsFoundOutAlsoWhenTheTimeIsOver) {
    one->mountFile(folder, 8);
    const auto deadline = steady_clock::now() + milliseconds(300);
    one->directory.setHooks(
        [](const std::string&, Deadline limit) -> Result<> {
            if (steady_clock::now() < limit) return {};
            return failed(Failure::kTimeout, "the time is over");
        },
        [&](const std::string& call, Deadline) -> Result<> {
            if (call != "commit") return {};
            std::this_thread::sleep_until(deadline);
            return failed(Failure::kTimeout, "no answer");
        });
    EXPECT_EQ(one->put("key", kSize, {}, false, deadline), ErrorCode::OK);
    EXPECT_EQ(one->numbers().stored, 1u);
}

// By another thread, between the commit and the end of the put.
TEST_F(PutCallTest, WhatIsRemovedOrReplacedMeanwhileIsNotRemembered) {
    one->mountFile(folder, 8);
    const auto onceAfterCommit = [&](const std::function<void()>& act) {
        one->directory.setHooks(nullptr, [&, act](const std::string& call, Deadline) -> Result<> {
            if (call != "commit") return {};
            one->directory.setHooks(nullptr, nullptr);
            act();
            return {};
        });
    };
    onceAfterCommit([&] {
        EXPECT_TRUE(one->directory.real().remove({"removed"}, DirectoryStub::soon()));
        one->cache.drop("removed");
    });
    EXPECT_EQ(one->put("removed", kSize), ErrorCode::OK);
    EXPECT_EQ(one->get("removed", kSize), ErrorCode::OBJECT_NOT_FOUND);
    onceAfterCommit([&] { EXPECT_EQ(one->put("replaced", kSize + 1, {}, true), ErrorCode::OK); });
    EXPECT_EQ(one->put("replaced", kSize, {}, true), ErrorCode::OK);
    EXPECT_EQ(one->get("replaced", kSize + 1), ErrorCode::OK);
}

// The old object is there, which is not what the caller wants.
TEST_F(PutCallTest, AnUpsertThatDidNotHappenIsNone) {
    one->mountFile(folder, 8);
    ASSERT_EQ(one->put("key", kSize), ErrorCode::OK);
    one->directory.setHooks(once("commit", Failure::kTimeout), nullptr);
    EXPECT_EQ(one->put("key", kSize + 1, {}, true), ErrorCode::RPC_TIMEOUT);
    EXPECT_EQ(one->get("key", kSize), ErrorCode::OK);
    EXPECT_EQ(one->put("key", kSize + 1, {}, true), ErrorCode::OK);
    EXPECT_EQ(one->get("key", kSize + 1), ErrorCode::OK);
}

// What is there is another client's: it is what a get gives, also of who remembers what it put.
TEST_F(PutCallTest, TheObjectOfAnotherIsNotTakenForOnesOwn) {
    one->mountFile(folder, 8);
    const auto two = client("two");
    two->refresh();
    one->directory.setHooks(
        [&](const std::string& call, Deadline) -> Result<> {
            if (call != "commit") return {};
            EXPECT_EQ(two->put("key", kSize + 1), ErrorCode::OK);
            return failed(Failure::kTimeout, "no answer");
        },
        nullptr);
    EXPECT_EQ(one->put("key", kSize), ErrorCode::OK) << "a key that is there is left alone";
    one->directory.setHooks(nullptr, nullptr);
    EXPECT_EQ(one->numbers().existing, 1u);
    EXPECT_EQ(one->numbers().stored, 0u);
    EXPECT_EQ(one->get("key", kSize + 1), ErrorCode::OK);
}

// What lies on a file that was given up, nobody can read.
TEST_F(PutCallTest, AnObjectThatCannotBeReadAgainIsNoSuccess) {
    one->mountFile(folder, 8);
    {
        const auto two = client("two");
        const FileNumber lost = two->mountFile(folder, 8);
        ReplicateConfig config;
        config.preferred_segment = "two";
        ASSERT_EQ(two->put("key", kSize, config), ErrorCode::OK);
        ASSERT_TRUE(two->directory.leave(DirectoryStub::soon()));
        ASSERT_TRUE(one->directory.giveUpFile(lost, DirectoryStub::soon()));
    }
    one->refresh();
    one->directory.setHooks(once("commit", Failure::kUnavailable), nullptr);
    EXPECT_EQ(one->put("key", kSize), ErrorCode::RPC_FAIL);
    EXPECT_EQ(one->put("key", kSize), ErrorCode::OK);
    EXPECT_EQ(one->get("key", kSize), ErrorCode::OK);
}

// --- A lease that was lost

// With the commit, before or after it has happened: the put goes on as another client.
TEST_F(PutCallTest, ALeaseThatIsLostWithTheCommitCostsNothing) {
    one->mountFile(folder, 16);
    for (const bool replaces : {false, true}) {
        for (const bool has_happened : {false, true}) {
            const std::string key = std::to_string(replaces) + std::to_string(has_happened);
            bool is_lost = false;
            const auto lose = [&](const std::string& call, Deadline) -> Result<> {
                if (call != "commit" || std::exchange(is_lost, true)) return {};
                EXPECT_TRUE(one->directory.leave(DirectoryStub::soon()));
                return failed(Failure::kLeaseLost, "the lease has ended");
            };
            one->directory.setHooks(has_happened ? FaultyDirectory::Hook() : lose,
                                    has_happened ? lose : FaultyDirectory::Hook());
            EXPECT_EQ(one->put(key, kSize, {}, replaces), ErrorCode::OK);
            EXPECT_TRUE(is_lost);
            EXPECT_EQ(one->get(key, kSize), ErrorCode::OK);
            one->cache.clear();
            EXPECT_EQ(one->get(key, kSize), ErrorCode::OK);
        }
    }
    EXPECT_EQ(one->numbers().put_failures, 0u);
}

// Nothing is written once the lease may have ended: that is no fault of the file.
TEST_F(PutCallTest, NoFileIsToBlameForALeaseThatEnds) {
    one->mountFile(folder, 8);
    one->member = [&]() -> Result<> {
        if (one->members == 1) {
            one->directory.setLeaseEnd(BootClock::now());
        } else {
            one->directory.setLeaseEnd(std::nullopt);
        }
        return {};
    };
    EXPECT_EQ(one->put("key", kSize), ErrorCode::OK);
    EXPECT_EQ(one->numbers().retried_puts, 1u);
    EXPECT_EQ(one->get("key", kSize), ErrorCode::OK);
}

// The directory has taken it all.
TEST_F(PutCallTest, APutThatHasNoTimeLeftToWriteSaysSo) {
    one->mountFile(folder, 8);
    one->directory.setHooks(nullptr, [](const std::string& call, Deadline deadline) -> Result<> {
        if (call == "exists") std::this_thread::sleep_until(deadline);
        return {};
    });
    EXPECT_EQ(one->put("key", kSize, {}, false, steady_clock::now() + milliseconds(100)),
              ErrorCode::RPC_TIMEOUT);
    EXPECT_THAT(lastError(), testing::HasSubstr("see whether the directory answers"));
}

TEST_F(PutCallTest, APutThatCannotBeWrittenNamesTheFile) {
    const FileNumber file = one->mountFile(folder, 8);
    control.fault = [](const auto&, const auto&) { return TransferFault::kFail; };
    EXPECT_EQ(one->put("key", kSize), ErrorCode::WRITE_FAIL);
    EXPECT_THAT(lastError(), testing::HasSubstr("file " + std::to_string(file)));
}

// --- Room

// A copy that found no room where it was meant to be goes to another node, and the next one not
// beside it.
TEST_F(PutCallTest, CopiesStayOnDifferentNodesWhereOneIsFull) {
    const FileNumber full = one->mountFile(folder, 8);
    const auto two = client("two"), three = client("three");
    two->mountFile(folder, 8);
    three->mountFile(folder, 8);
    takeAll(*two, full);
    one->refresh();
    ReplicateConfig config;
    config.replica_num = 2;
    config.preferred_segment = "one";
    for (int i = 0; i < 12; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(one->put(key, kSize, config), ErrorCode::OK);
        const auto entry = one->entry(key);
        ASSERT_TRUE(entry && entry->replicas.size() == 2);
        const FileNumber first = entry->replicas[0][0].region.file;
        const FileNumber second = entry->replicas[1][0].region.file;
        EXPECT_NE(first, second) << "both copies on one node";
        EXPECT_NE(first, full);
        EXPECT_NE(second, full);
    }
}

// Others are about to seal what they fill.
TEST_F(PutCallTest, RoomThatIsSoonThereIsWaitedFor) {
    const FileNumber file = one->mountFile(folder, 8);
    const auto two = client("two");
    const auto taken = takeAll(*two, file);
    ASSERT_EQ(taken.size(), 8u);
    auto putting = std::async(std::launch::async, [&] { return one->put("key", kSize); });
    ASSERT_TRUE(eventually([&] { return one->numbers().put_waits >= 2; }));
    EXPECT_TRUE(
        two->directory.sealRegion(taken[3].id, taken[3].generation, {}, DirectoryStub::soon()));
    EXPECT_EQ(putting.get(), ErrorCode::OK) << lastError();
    EXPECT_EQ(one->get("key", kSize), ErrorCode::OK);
}

// The first object of a batch waits for all: what finds no room after that hears so at once.
TEST_F(PutCallTest, ABatchWaitsForRoomOnce) {
    const FileNumber file = one->mountFile(folder, 8);
    const auto two = client("two");
    takeAll(*two, file);
    std::atomic<int> looks_after_first{0};
    one->directory.setHooks(
        [&](const std::string& call, Deadline) -> Result<> {
            looks_after_first += call == "regions" && one->numbers().put_failures != 0;
            return {};
        },
        nullptr);
    std::string bytes(kSize, 'x');
    EXPECT_THAT(putMany(*one, "key", 10, &bytes), testing::Each(ErrorCode::NO_AVAILABLE_HANDLE));
    EXPECT_EQ(looks_after_first, 9);
}

// It is not counted against a batch that it took long to write what had room.
TEST_F(PutCallTest, WhoHadRoomWaitsForItAgain) {
    const FileNumber file = one->mountFile(folder, 8);
    const auto two = client("two");
    const auto taken = takeAll(*two, file);
    std::atomic<int> commits{0};
    std::atomic<uint64_t> waits_at_commit{0};
    one->directory.setHooks(
        [&](const std::string& call, Deadline) -> Result<> {
            if (call != "commit" || commits++ != 0) return {};
            waits_at_commit = one->numbers().put_waits;
            // Longer than an object waits.
            std::this_thread::sleep_for(milliseconds(2100));
            return {};
        },
        nullptr);
    // Each fills a region, and stays.
    std::string bytes(4 * kMiB - 8192, 'x');
    ReplicateConfig config;
    config.with_hard_pin = true;
    auto putting =
        std::async(std::launch::async, [&] { return putMany(*one, "key", 2, &bytes, config); });
    const auto seal = [&](size_t which) {
        EXPECT_TRUE(two->directory.sealRegion(taken[which].id, taken[which].generation, {},
                                              DirectoryStub::soon()));
    };
    ASSERT_TRUE(eventually([&] { return one->numbers().put_waits >= 2; }));
    seal(0);
    ASSERT_TRUE(eventually([&] {
        return waits_at_commit != 0 && (one->numbers().put_waits >= waits_at_commit + 3 ||
                                        one->numbers().put_failures != 0);
    }));
    seal(1);
    EXPECT_THAT(putting.get(), testing::Each(ErrorCode::OK));
}

// --- Batches

// A commit takes so many, whatever the batch.
TEST_F(PutCallTest, ABatchIsWrittenInPartsOfSoManyObjects) {
    one->mountFile(folder, 8);
    std::string bytes(1, 'x');
    EXPECT_THAT(putMany(*one, "key", 2500, &bytes), testing::Each(ErrorCode::OK));
    EXPECT_EQ(one->directory.mostChanges(), 2048u);
    EXPECT_EQ(one->directory.calls("commit"), 2);
}

// Between two looks at the lease no more is written than takes a fraction of it.
TEST_F(PutCallTest, ABatchIsWrittenInPartsOfSoManyBytes) {
    constexpr uint64_t kMost = uint64_t{1} << 30;
    // A large file, of which no byte is there.
    KnownFile large = one->directory.addKnownFile(512);
    FileBufferID id = 0;
    ASSERT_EQ(one->engine->registerLocalFile(folder.file("large", 1 * kMiB), 1 * kMiB, id), 0);
    ASSERT_TRUE(one->directory.mountFile(large.info.number,
                                         Mount{0, "one", one->mounted.segmentName(), id, "/large"},
                                         DirectoryStub::soon()));
    one->refresh();
    uint64_t written = 0, most = 0;
    control.fault = [&](const Transport::TransferRequest& request, const std::string&) {
        written += request.opcode == Transport::TransferRequest::WRITE ? request.length : 0;
        most = std::max(most, written);
        return TransferFault::kFail;
    };
    one->member = [&]() -> Result<> {
        written = 0;
        return {};
    };
    std::string bytes(16 * kMiB, 'x');
    EXPECT_THAT(putMany(*one, "key", 80, &bytes), testing::Each(ErrorCode::WRITE_FAIL));
    EXPECT_GT(most, kMost / 2);
    EXPECT_LE(most, kMost + 2 * kMiB);
}

}  // namespace
}  // namespace mooncake::store
