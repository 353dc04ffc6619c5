// SPDX-License-Identifier: Apache-2.0
// What is remembered of a region counts for that content alone.
#include <thread>

#include "threadless_client.h"

namespace mooncake::store {
namespace {

using mooncake::test::eventually;
using mooncake::test::kMiB;
using std::chrono::milliseconds;

constexpr size_t kSize = 300000;
constexpr milliseconds kIoBound(200);

class EvictorTest : public ThreadlessClientTest {
 protected:
    static Deadline soon() { return DirectoryStub::soon(); }
    Region stateOf(RegionId id) {
        const auto regions = one->directory.real().regions(id.file, soon());
        for (const Region& region : *regions) {
            if (region.id == id) return region;
        }
        return {};
    }
    Result<> makeRoom() { return one->evictor.makeRoom(one->file(file), soon()); }
    void lookAfter() {
        const auto done = one->evictor.lookAfter(one->file(file), soon());
        EXPECT_TRUE(done) << done.error().message;
    }
    // Which is sealed then. @return its region
    RegionId putAndSeal(ThreadlessClient& client, const std::string& key, size_t size = kSize,
                        bool is_pinned = false) {
        ReplicateConfig config;
        config.with_hard_pin = is_pinned;
        EXPECT_EQ(client.put(key, size, config), ErrorCode::OK) << lastError();
        client.open.sealAll(0, soon());
        const auto entry = one->entry(key);
        return entry ? entry->replicas.at(0).at(0).region : RegionId{};
    }
    // Another node evicts the region: the next one that is taken is this.
    static void clean(ThreadlessClient& by, RegionId id, Generation generation) {
        const auto begun = by.directory.real().beginClean(id, generation, soon());
        ASSERT_TRUE(begun) << begun.error().message;
        ASSERT_TRUE(by.directory.real().endClean(id, begun->generation, soon()));
    }
    void takeAll(ThreadlessClient& by) const {
        while (by.directory.takeRegion(file, soon())) {
        }
    }

    std::unique_ptr<ThreadlessClient> one = client("one", kIoBound), two = client("two");
    const FileNumber file = one->mountFile(folder, 8);
};

// --- A writer that is gone: its last I/O can be on its way for so long

TEST_F(EvictorTest, HowLongAWriterLivedDoesNotCountAsItsAbsence) {
    const auto region = two->directory.takeRegion(file, soon());
    lookAfter();
    std::this_thread::sleep_for(kIoBound);
    ASSERT_TRUE(two->directory.leave(soon()));
    lookAfter();
    EXPECT_EQ(stateOf(region->id).state, RegionState::kOpen) << "its I/O may be on its way still";
    EXPECT_TRUE(eventually([&] {
        lookAfter();
        return stateOf(region->id).state == RegionState::kSealed;
    }));
    EXPECT_EQ(one->numbers().regions_sealed, 1u);
}

TEST_F(EvictorTest, TheAbsenceOfAnEarlierWriterDoesNotCountForALaterOne) {
    const auto region = two->directory.takeRegion(file, soon());
    ASSERT_TRUE(two->directory.leave(soon()));
    lookAfter();
    const auto three = client("three");
    ASSERT_TRUE(three->directory.sealRegion(region->id, region->generation, {}, soon()));
    clean(*three, region->id, region->generation);
    const auto again = three->directory.takeRegion(file, soon());
    ASSERT_EQ(again->id, region->id);
    std::this_thread::sleep_for(kIoBound);
    ASSERT_TRUE(three->directory.leave(soon()));
    lookAfter();
    EXPECT_EQ(stateOf(region->id).state, RegionState::kOpen) << "its I/O may be on its way still";
    EXPECT_TRUE(eventually([&] {
        lookAfter();
        return stateOf(region->id).state == RegionState::kSealed;
    }));
}

// --- Pins

// Another node was first, and then there is something else in the region.
TEST_F(EvictorTest, PinsOfAnEarlierContentAreNotTakenForThoseOfALaterOne) {
    const RegionId region = putAndSeal(*one, "plain");
    const RegionId other = putAndSeal(*one, "other");
    ASSERT_NE(other, region);
    two->refresh();
    one->directory.setHooks(
        [&](const std::string& call, Deadline) -> Result<> {
            if (call == "beginClean") {
                one->directory.setHooks(nullptr, nullptr);
                clean(*two, region, 1);
            }
            return {};
        },
        nullptr);
    EXPECT_TRUE(makeRoom());
    ASSERT_EQ(stateOf(other).generation, 2u) << "which went instead";
    ASSERT_EQ(putAndSeal(*two, "pinned", kSize, true), region);
    EXPECT_TRUE(makeRoom());
    EXPECT_GT(stateOf(region).generation, 2u);
    EXPECT_TRUE(one->entry("pinned")) << "a hard pin was evicted";
    two->cache.clear();
    EXPECT_EQ(two->get("pinned", kSize), ErrorCode::OK);
    EXPECT_EQ(one->numbers().objects_moved, 1u);
}

TEST_F(EvictorTest, WhatWasFullOfPinsCanBeEvictedWithAnotherContent) {
    const RegionId region = putAndSeal(*one, "pinned", 3 * kMiB, true);
    putAndSeal(*one, "plain");
    EXPECT_TRUE(makeRoom()) << "the other region goes";
    ASSERT_EQ(stateOf(region).generation, 1u);
    two->refresh();
    ASSERT_TRUE(two->directory.remove({"pinned"}, soon()));
    clean(*two, region, 1);
    // All others are somebody's.
    takeAll(*two);
    ASSERT_TRUE(two->directory.sealRegion(region, 2, {}, soon()));
    const auto made = makeRoom();
    EXPECT_TRUE(made) << made.error().message;
    EXPECT_EQ(stateOf(region).generation, 3u);
}

// --- Tables

TEST_F(EvictorTest, ABadPlaceInATableIsForgottenWithTheContent) {
    const RegionId region = putAndSeal(*one, "plain");
    control.fault = [&](const Transport::TransferRequest& request, const std::string&) {
        const bool is_table = request.target_offset >= kMiB + region.index * 4 * kMiB;
        return request.opcode == Transport::TransferRequest::READ && is_table
                   ? TransferFault::kFail
                   : TransferFault::kNone;
    };
    EXPECT_FALSE(makeRoom());
    ASSERT_EQ(stateOf(region).generation, 1u);
    control.fault = [](const auto&, const auto&) { return TransferFault::kNone; };
    EXPECT_FALSE(makeRoom()) << "it is left alone for a while";
    two->refresh();
    clean(*two, region, 1);
    takeAll(*two);
    ASSERT_TRUE(two->directory.sealRegion(region, 2, {}, soon()));
    const auto made = makeRoom();
    EXPECT_TRUE(made) << made.error().message;
}

// --- Answers that are lost

TEST_F(EvictorTest, OnesOwnCleaningThatWasBrokenOffIsFinished) {
    const RegionId region = putAndSeal(*one, "plain");
    one->directory.setHooks(nullptr, [](const std::string& call, Deadline) -> Result<> {
        if (call != "beginClean") return {};
        return failed(Failure::kTimeout, "no answer");
    });
    EXPECT_FALSE(makeRoom());
    ASSERT_EQ(stateOf(region).state, RegionState::kCleaning);
    one->directory.setHooks(nullptr, nullptr);
    EXPECT_TRUE(makeRoom());
    EXPECT_EQ(stateOf(region).state, RegionState::kClean);
    EXPECT_FALSE(one->entry("plain")) << "the directory grows with what was evicted";
}

}  // namespace
}  // namespace mooncake::store
