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

}  // namespace
}  // namespace mooncake::store
