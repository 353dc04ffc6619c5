// SPDX-License-Identifier: Apache-2.0
// Who works while the pool ends: the tests of the pool cannot hold a worker at its first step.
#include "dispatcher.h"

#include <gtest/gtest.h>

#include "fake_aio.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class DispatcherTest : public ::testing::Test {
 protected:
    void SetUp() override { ASSERT_EQ(channel_.tryOpen(aio_, 8), 0); }
    void TearDown() override { channel_.close(aio_); }

    /// Whether one that waits for completions would come back.
    bool isTold() {
        io_event event;
        timespec none = {};
        return aio_.wait(channel_.context().context, 1, &event, &none) == 1;
    }

    FakeAio aio_;
    Conditions conditions_;
    Dispatcher dispatcher_{aio_, conditions_};
    Channel channel_{0, true};
    Dispatcher::Slot slot_{channel_, Lane::kCommon, 0};
};

TEST_F(DispatcherTest, WhoWaitsIsToldOfTheEnd) {
    dispatcher_.add(slot_);
    ASSERT_TRUE(dispatcher_.sleep(slot_));
    EXPECT_FALSE(isTold());
    dispatcher_.stop();
    EXPECT_TRUE(isTold());
    EXPECT_FALSE(dispatcher_.sleep(slot_));
}

// Its thread runs before it is added, and may wait already.
TEST_F(DispatcherTest, SoIsAWorkerThatTheMonitorBringsInMeanwhile) {
    ASSERT_TRUE(dispatcher_.sleep(slot_));
    dispatcher_.stop();
    EXPECT_FALSE(isTold());
    dispatcher_.add(slot_);
    EXPECT_TRUE(isTold());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
