// SPDX-License-Identifier: Apache-2.0
// Who asks for the state of a transfer, or waits, gives the transports its time.
#include <chrono>
#include <memory>

#include "driven_transport.h"
#include "multi_transport_fixture.h"

namespace mooncake::test {
namespace {

TEST_F(MultiTransportTest, WhoAsksDrivesTheTransport) {
    addSegment(1, "driven");
    FakeTransport::Options options;
    options.threads = 0;
    auto made = std::make_shared<DrivenTransport>(options);
    DrivenTransport& transport = *made;
    ASSERT_EQ(transports_->addTransport("driven", std::move(made), nullptr), 0);
    EXPECT_EQ(transport.enabled, 1);
    const auto batch = transports_->allocateBatchID(2);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10), write(1, 20)}).ok());
    EXPECT_EQ(statusOf(batch, 0).s, Transport::WAITING);
    EXPECT_EQ(transport.polls, 1);

    // What the question itself has ended is in the answer.
    transport.ready = true;
    EXPECT_EQ(statusOf(batch, 1).s, Transport::COMPLETED);
    EXPECT_EQ(transport.polls, 2);
    EXPECT_EQ(statusOf(batch, 0).s, Transport::COMPLETED);
    EXPECT_EQ(transport.polls, 2) << "of what has ended nobody need ask the transport";
    ASSERT_TRUE(transports_->freeBatchID(batch).ok());

    const auto next = transports_->allocateBatchID(1);
    ASSERT_TRUE(transports_->submitTransfer(next, {write(1, 10)}).ok());
    TransferStatus all{};
    ASSERT_TRUE(transports_->getBatchTransferStatus(next, all).ok());
    EXPECT_EQ(all.s, Transport::COMPLETED);
    EXPECT_EQ(all.transferred_bytes, 10U);
    ASSERT_TRUE(transports_->freeBatchID(next).ok());

    const auto waited = transports_->allocateBatchID(1);
    ASSERT_TRUE(transports_->submitTransfer(waited, {write(1, 10)}).ok());
    const int before = transport.polls;
    EXPECT_TRUE(transports_->waitForProgress(std::chrono::hours(1)));
    EXPECT_EQ(transport.waits, 1);
    EXPECT_EQ(transport.polls, before);
    EXPECT_LE(transport.longest.load(), std::chrono::seconds(1)) << "uninstalling waits for it";
    EXPECT_EQ(statusOf(waited, 0).s, Transport::COMPLETED);
    ASSERT_TRUE(transports_->freeBatchID(waited).ok());
    transport.ready = false;
    EXPECT_FALSE(transports_->waitForProgress(std::chrono::nanoseconds(0)));

    // One of several is not waited for alone.
    addSegment(2, "second");
    auto second = std::make_shared<DrivenTransport>(options);
    DrivenTransport& other = *second;
    ASSERT_EQ(transports_->addTransport("second", std::move(second), nullptr), 0);
    const auto both = transports_->allocateBatchID(1);
    ASSERT_TRUE(transports_->submitTransfer(both, {write(2, 10)}).ok());
    transport.ready = false;
    other.ready = true;
    transports_->waitForProgress(std::chrono::hours(1));
    EXPECT_EQ(other.polls, 1);
    EXPECT_EQ(statusOf(both, 0).s, Transport::COMPLETED);
    ASSERT_TRUE(transports_->freeBatchID(both).ok());

    ASSERT_EQ(transports_->uninstallTransport("driven"), 0);
    ASSERT_EQ(transports_->uninstallTransport("second"), 0);
    transports_->waitForProgress(std::chrono::hours(1));  // returns, though nobody is left
}

// One that tells nobody when something ends, beside one that does.
TEST_F(MultiTransportTest, ABlindTransportIsNotWaitedForLong) {
    FakeTransport::Options options;
    options.threads = 0;
    addSegment(1, "driven");
    auto made = std::make_shared<DrivenTransport>(options);
    DrivenTransport& driven = *made;
    ASSERT_EQ(transports_->addTransport("driven", std::move(made), nullptr), 0);
    transports_->waitForProgress(std::chrono::hours(1));
    EXPECT_GT(driven.longest.load(), std::chrono::milliseconds(1)) << "this says nothing";
    add(2, "blind", options);
    driven.longest = std::chrono::nanoseconds(0);
    EXPECT_TRUE(transports_->waitForProgress(std::chrono::hours(1))) << "nobody knows";
    EXPECT_EQ(driven.waits, 2);
    EXPECT_LE(driven.longest.load(), std::chrono::milliseconds(1));
    ASSERT_EQ(transports_->uninstallTransport("blind"), 0);
    transports_->waitForProgress(std::chrono::hours(1));
    EXPECT_GT(driven.longest.load(), std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace mooncake::test
