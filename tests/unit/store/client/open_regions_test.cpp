// SPDX-License-Identifier: Apache-2.0
#include "open_regions.h"

#include <gtest/gtest.h>

#include <new>

#include "directory_stub.h"

namespace mooncake::store {
namespace {

// Takes no region while it has no memory.
class PoorDirectory : public DirectoryStub {
 public:
    using DirectoryStub::DirectoryStub;
    bool is_poor = true;

    Result<Region> takeRegion(FileNumber file, Deadline deadline) override {
        if (is_poor) throw std::bad_alloc();
        return DirectoryStub::takeRegion(file, deadline);
    }
};

// Counts what is taken and sealed.
class CountingDirectory : public DirectoryStub {
 public:
    int taken = 0, sealed = 0;

    Result<Region> takeRegion(FileNumber file, Deadline deadline) override {
        ++taken;
        return DirectoryStub::takeRegion(file, deadline);
    }
    Result<> sealRegion(RegionId region, Generation generation, RegionUse use,
                        Deadline deadline) override {
        ++sealed;
        return DirectoryStub::sealRegion(region, generation, use, deadline);
    }
};

class TakingAheadTest : public testing::Test {
 protected:
    static constexpr uint64_t kMiB = 1 << 20;

    // Puts so much into the open region, as one call.
    RegionId fill(const KnownFile& file, uint64_t bytes) {
        auto use = regions.use(file, 0, DirectoryStub::soon());
        EXPECT_TRUE(use) << use.error().message;
        const auto piece = (*use)->fill->take(bytes, 1);
        EXPECT_TRUE(piece && piece->length == bytes);
        return (*use)->region.id;
    }
    // The open one is full.
    void retire(const KnownFile& file) {
        auto use = regions.use(file, 0, DirectoryStub::soon());
        ASSERT_TRUE(use) << use.error().message;
        regions.retire(**use);
    }
    void takeAhead() { regions.takeAhead(DirectoryStub::soon()); }

    CountingDirectory directory;
    ClientCounters counters;
    int attentions = 0;
    OpenRegions regions{directory, counters, [this] { ++attentions; }};
};

TEST_F(TakingAheadTest, TheNextRegionIsThereBeforeItIsNeeded) {
    const KnownFile file = directory.addKnownFile(32);
    const RegionId first = fill(file, kMiB);
    EXPECT_EQ(attentions, 1) << "one was taken";
    fill(file, kMiB / 2);
    takeAhead();
    EXPECT_EQ(directory.taken, 1) << "less than half of it is full";
    fill(file, kMiB);
    EXPECT_EQ(attentions, 1);
    fill(file, kMiB / 2);
    EXPECT_EQ(attentions, 2);
    takeAhead();
    EXPECT_EQ(directory.taken, 2);
    takeAhead();
    EXPECT_EQ(directory.taken, 2) << "one is enough";
    EXPECT_EQ(fill(file, kMiB / 8), first) << "the first is not full yet";

    retire(file);
    EXPECT_EQ(attentions, 3) << "the first can be sealed";
    const RegionId second = fill(file, kMiB);
    EXPECT_NE(second, first);
    EXPECT_EQ(directory.taken, 2);
    // Whoever has filled one may fill the next one with a single batch.
    EXPECT_EQ(attentions, 4);
    takeAhead();
    EXPECT_EQ(directory.taken, 3);
    regions.sealRetired(DirectoryStub::soon());
    EXPECT_EQ(directory.sealed, 1);
    regions.sealAll(0, DirectoryStub::soon());
    EXPECT_EQ(directory.sealed, 3) << "the open one, and the one that was taken ahead";
}

TEST_F(TakingAheadTest, WhatNobodyNeedsIsGivenBack) {
    const KnownFile file = directory.addKnownFile(32);
    fill(file, 3 * kMiB);
    fill(file, kMiB / 8);
    takeAhead();
    ASSERT_EQ(directory.taken, 2);
    regions.retireIdle(std::chrono::milliseconds(0));
    regions.sealRetired(DirectoryStub::soon());
    EXPECT_EQ(directory.sealed, 2);
}

TEST_F(TakingAheadTest, NotWhereOthersMayNeedTheLastRegions) {
    const KnownFile small = directory.addKnownFile(31);
    fill(small, 3 * kMiB);
    fill(small, kMiB / 8);
    takeAhead();
    EXPECT_EQ(directory.taken, 1) << "a file of few regions";
    const KnownFile full = directory.addKnownFile(32);
    full.load->clean = 2;
    fill(full, 3 * kMiB);
    fill(full, kMiB / 8);
    takeAhead();
    EXPECT_EQ(directory.taken, 2) << "one region is clean";
}

TEST_F(TakingAheadTest, ARegionOfALeaseThatHasEndedIsNotUsed) {
    const KnownFile file = directory.addKnownFile(32);
    fill(file, 3 * kMiB);
    fill(file, kMiB / 8);
    takeAhead();
    ASSERT_EQ(directory.taken, 2);
    ASSERT_TRUE(directory.leave(DirectoryStub::soon()));
    ASSERT_TRUE(directory.join("node", DirectoryStub::soon()));
    fill(file, kMiB);
    EXPECT_EQ(directory.taken, 3);
}

TEST(OpenRegionsTest, AfterOneThatThrewTheNextIsTaken) {
    PoorDirectory directory;
    ClientCounters counters;
    OpenRegions regions(directory, counters, [] {});
    const KnownFile file = directory.addKnownFile();
    const auto outcome = regions.use(file, 0, DirectoryStub::soon());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().failure, Failure::kInternal);
    directory.is_poor = false;
    const auto taken =
        regions.use(file, 0, std::chrono::steady_clock::now() + std::chrono::seconds(5));
    EXPECT_TRUE(taken) << taken.error().message;
}

// Cannot seal at the moment.
class BusyDirectory : public DirectoryStub {
 public:
    int refusals = 1;

    Result<> sealRegion(RegionId region, Generation generation, RegionUse use,
                        Deadline deadline) override {
        if (refusals-- > 0) return failed(Failure::kTimeout, "busy");
        return DirectoryStub::sealRegion(region, generation, use, deadline);
    }
    FileUse use(FileNumber file) { return *usage(file, soon()); }
};

// What nobody has used for a while is sealed, by a later look where that is not possible now.
TEST(OpenRegionsTest, WhatIsIdleIsSealedInTheEnd) {
    BusyDirectory directory;
    ClientCounters counters;
    OpenRegions regions(directory, counters, [] {});
    const KnownFile file = directory.addKnownFile();
    {
        const auto use = regions.use(file, 0, DirectoryStub::soon());
        ASSERT_TRUE(use);
        (**use).bytes = 7;
        (**use).objects = 1;
        regions.retireIdle(std::chrono::milliseconds(0));
        regions.sealRetired(DirectoryStub::soon());
        EXPECT_EQ(directory.use(file.info.number).open, 1u) << "it is in use";
    }
    regions.retireIdle(std::chrono::hours(1));
    regions.sealRetired(DirectoryStub::soon());
    EXPECT_EQ(directory.refusals, 1) << "it was used a moment ago";
    while (directory.refusals > 0) {
        regions.retireIdle(std::chrono::milliseconds(0));
        regions.sealRetired(DirectoryStub::soon());
    }
    EXPECT_EQ(directory.use(file.info.number).open, 1u);
    regions.sealRetired(DirectoryStub::soon());
    EXPECT_EQ(directory.use(file.info.number).open, 0u);
    EXPECT_EQ(directory.use(file.info.number).use, (RegionUse{7, 1}));
}

// Its answers get lost.
class SilentDirectory : public DirectoryStub {
 public:
    bool is_silent = true;

    Result<Region> takeRegion(FileNumber file, Deadline deadline) override {
        auto taken = DirectoryStub::takeRegion(file, deadline);
        if (is_silent) return failed(Failure::kTimeout, "no answer");
        return taken;
    }
    uint32_t open(FileNumber file) { return usage(file, soon())->open; }
};

TEST(OpenRegionsTest, WhatWasTakenWithoutAnAnswerIsSealed) {
    SilentDirectory directory;
    ClientCounters counters;
    OpenRegions regions(directory, counters, [] {});
    const KnownFile file = directory.addKnownFile();
    EXPECT_FALSE(regions.use(file, 0, DirectoryStub::soon()));
    EXPECT_FALSE(regions.use(file, 1, DirectoryStub::soon()));
    EXPECT_EQ(directory.open(file.info.number), 2u);
    directory.is_silent = false;
    const auto use = regions.use(file, 0, DirectoryStub::soon());
    ASSERT_TRUE(use);
    EXPECT_EQ(directory.open(file.info.number), 3u);
    regions.sealUnknown(DirectoryStub::soon());
    EXPECT_EQ(directory.open(file.info.number), 1u) << "the one that is in use";
    const auto all = directory.regions(file.info.number, DirectoryStub::soon());
    for (const Region& region : *all) {
        EXPECT_EQ(region.state == RegionState::kOpen, region.id == (**use).region.id);
    }
}

}  // namespace
}  // namespace mooncake::store
