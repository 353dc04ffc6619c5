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

TEST(OpenRegionsTest, AfterOneThatThrewTheNextIsTaken) {
    PoorDirectory directory;
    ClientCounters counters;
    OpenRegions regions(directory, counters);
    const KnownFile file = directory.addKnownFile();
    const auto outcome = regions.use(file, 0, DirectoryStub::soon());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().failure, Failure::kInternal);
    directory.is_poor = false;
    const auto taken =
        regions.use(file, 0, std::chrono::steady_clock::now() + std::chrono::seconds(5));
    EXPECT_TRUE(taken) << taken.error().message;
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
    OpenRegions regions(directory, counters);
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
