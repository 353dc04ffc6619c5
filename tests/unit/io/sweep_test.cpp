// SPDX-License-Identifier: Apache-2.0
// When the monitor takes what a thread has in flight for left lying, counted in its rounds.
#include <gtest/gtest.h>

#include "fake_aio.h"
#include "progress.h"

namespace mooncake::nvmeof_generic::io {
namespace {

using Sweep = Progress::Sweep;

class NobodyServes final : public DeviceServer {
 public:
    void serve(Device&, Channel&) override {}
};

class SweepTest : public ::testing::Test {
 protected:
    /// One of this thread, as after a submission in the present round.
    Channel& inFlight() {
        Channel& mine = *channels_.mine();
        EXPECT_TRUE(mine.open(aio_, 8));
        mine.context().inFlight = 1;
        mine.noteSubmit(conditions_.tick);
        return mine;
    }
    Sweep nextRound() {
        ++conditions_.tick;
        return progress_.sweep();
    }
    void TearDown() override {
        channels_.forEach([](Channel& channel) { channel.context().inFlight = 0; });
    }

    FakeAio aio_;
    Conditions conditions_;
    std::unique_ptr<BouncePool> bounce_ = BouncePool::create(BouncePool::kChunkBytes).take();
    NobodyServes server_;
    Channels channels_{aio_};
    Progress progress_{aio_, conditions_, *bounce_, channels_, server_};
};

TEST_F(SweepTest, WithoutIoThereIsNothingToDo) {
    static_cast<void>(channels_.mine());
    EXPECT_EQ(nextRound(), Sweep::kIdle);
    EXPECT_TRUE(progress_.idle());
}

// What IoPool::enablePolling() promises hangs on it: some milliseconds, not some rounds more.
TEST_F(SweepTest, AThreadMayMissOneRound) {
    Channel& mine = inFlight();
    EXPECT_FALSE(progress_.idle());
    EXPECT_EQ(nextRound(), Sweep::kAttended);
    EXPECT_FALSE(mine.isHandedOver());
    EXPECT_EQ(nextRound(), Sweep::kLeft);
    EXPECT_TRUE(mine.isHandedOver());
}

TEST_F(SweepTest, WhoComesInEachRoundIsLeftAlone) {
    Channel& mine = inFlight();
    for (int i = 0; i < 100; ++i) {
        progress_.poll();
        ASSERT_EQ(nextRound(), Sweep::kAttended) << i;
    }
    EXPECT_FALSE(mine.isHandedOver());
    // And who comes back, at once.
    nextRound();
    EXPECT_EQ(nextRound(), Sweep::kLeft);
    progress_.poll();
    EXPECT_FALSE(mine.isHandedOver());
    EXPECT_EQ(nextRound(), Sweep::kAttended);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
