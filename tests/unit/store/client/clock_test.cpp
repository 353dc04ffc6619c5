// SPDX-License-Identifier: Apache-2.0
// Somebody sets the wall clock, by hours and in both directions: nobody's time is up because of it.
#include <filesystem>

#include "directory_kinds.h"
#include "wall_clock.h"

namespace mooncake::test {
namespace {

using test_support::setWallClock;
using test_support::shakeWallClock;

class ClockTest : public DirectoryKindsTest {
 protected:
    ~ClockTest() override {
        setWallClock(std::chrono::seconds(0));
        shakeWallClock(std::chrono::seconds(0));
    }
    void expectAllToWork(const std::string& prefix) {
        for (int i = 0; i < 20; ++i) {
            const std::string key = prefix + std::to_string(i);
            ASSERT_EQ(put(*one, key, 300000), ErrorCode::OK) << Client::LastError();
            ASSERT_EQ(get(*one, key, 300000), ErrorCode::OK);
            ASSERT_EQ(get(*two, key, 300000), ErrorCode::OK);
        }
        const auto renewed = [](Client& client) { return client.HealthCheck().has_value(); };
        EXPECT_TRUE(renewed(*one) && renewed(*two)) << Client::LastError();
        EXPECT_EQ(one->Statistics().leases_lost + two->Statistics().leases_lost, 0u);
        EXPECT_EQ(one->Statistics().regions_sealed, 0u) << "nobody's region was taken away";
    }

    std::shared_ptr<Client> one, two;
};

TEST_P(ClockTest, HoursEitherWayEndNothing) {
    one = nodeWithFile("one", 8);
    two = nodeWithFile("two", 8);
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    expectAllToWork("before");
    setWallClock(std::chrono::hours(1));
    expectAllToWork("ahead");
    setWallClock(std::chrono::hours(-1));
    expectAllToWork("behind");
    // Also who starts, mounts and goes meanwhile.
    {
        const auto three = nodeWithFile("three", 8);
        EXPECT_EQ(get(*three, "behind19", 300000), ErrorCode::OK);
        setWallClock(std::chrono::hours(1));
    }
    EXPECT_TRUE(knowsFiles(*one, 2));
    shakeWallClock(std::chrono::hours(1));
    expectAllToWork("shaken");
}

// Who has left a file behind is known by its lock, not by its age.
TEST_P(ClockTest, WhatWasLeftIsRemovedWhateverTheClockSays) {
    one = node("one");
    for (const auto hours : {1, -1}) {
        const std::string left = folder.file("mooncake-scratch-123456", kMiB);
        setWallClock(std::chrono::hours(hours));
        const auto used = one->MountScratchFile(folder.path(), 33 * kMiB);
        ASSERT_TRUE(used) << Client::LastError();
        EXPECT_FALSE(std::filesystem::exists(left)) << hours;
        EXPECT_TRUE(node("other")->MountScratchFile(folder.path(), 33 * kMiB));
        EXPECT_TRUE(std::filesystem::exists(*used));
        EXPECT_TRUE(one->UnmountFileSegment(*used));
    }
}

INSTANTIATE_TEST_SUITE_P(Directory, ClockTest, testing::ValuesIn(directoryKinds()),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace mooncake::test
