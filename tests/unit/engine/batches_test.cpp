// SPDX-License-Identifier: Apache-2.0
// What a batch tells of its tasks, and when it can be freed.
#include <future>
#include <set>
#include <thread>

#include "multi_transport_fixture.h"

namespace mooncake::test {
namespace {

TEST_F(MultiTransportTest, CompletesWithTheBytesOfEverySlice) {
    add(1, "fake");
    const auto batch = transports_->allocateBatchID(2);
    ASSERT_NE(batch, Transport::INVALID_BATCH_ID);
    Request read = write(1, 10000);
    read.opcode = Request::READ;
    ASSERT_TRUE(transports_->submitTransfer(batch, {read, write(1, 1)}).ok());
    const TransferStatus all = waitForBatch(batch);
    EXPECT_EQ(all.s, Transport::COMPLETED);
    EXPECT_EQ(all.transferred_bytes, 10001u);
    EXPECT_EQ(statusOf(batch, 0).s, Transport::COMPLETED);
    EXPECT_EQ(statusOf(batch, 0).transferred_bytes, 10000u);
    EXPECT_EQ(statusOf(batch, 1).transferred_bytes, 1u);
    // What the workers wrote is there without any other synchronisation than the poll.
    for (size_t i = 0; i < 10000; ++i) ASSERT_EQ(buffer_[i], 0x5a) << i;
    EXPECT_EQ(buffer_[10000], 0);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, OneFailedSliceFailsItsTaskAndNoOther) {
    FakeTransport::Options options;
    options.slice_bytes = 1000;
    options.succeeds = [this](const Transport::Slice& slice) {
        return slice.source_addr != buffer_.data() + 2000;
    };
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(2);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 3500), write(1, 2000)}).ok());
    const TransferStatus all = waitForBatch(batch);
    EXPECT_EQ(all.s, Transport::FAILED);
    EXPECT_EQ(all.transferred_bytes, 4500u);
    EXPECT_EQ(statusOf(batch, 0).s, Transport::FAILED);
    EXPECT_EQ(statusOf(batch, 0).transferred_bytes, 2500u);
    EXPECT_EQ(statusOf(batch, 1).s, Transport::COMPLETED);
    EXPECT_EQ(statusOf(batch, 1).transferred_bytes, 2000u);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, WaitsUntilEveryTaskHasEndedBeforeTheBatchFails) {
    FakeTransport::Options held;
    held.threads = 0;
    FakeTransport* holding = add(1, "held", held);
    FakeTransport::Options failing;
    failing.succeeds = [](const Transport::Slice&) { return false; };
    add(2, "failing", failing);
    const auto batch = transports_->allocateBatchID(2);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10), write(2, 10)}).ok());
    const auto limit = steady_clock::now() + kLimit;
    while (statusOf(batch, 1).s == Transport::WAITING && steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_EQ(statusOf(batch, 1).s, Transport::FAILED);
    TransferStatus all{};
    ASSERT_TRUE(transports_->getBatchTransferStatus(batch, all).ok());
    EXPECT_EQ(all.s, Transport::WAITING);
    EXPECT_TRUE(transports_->freeBatchID(batch).IsBatchBusy());
    holding->endAll(true);
    EXPECT_EQ(waitForBatch(batch).s, Transport::FAILED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, ABatchWithoutTasksIsComplete) {
    const auto batch = transports_->allocateBatchID(0);
    ASSERT_NE(batch, Transport::INVALID_BATCH_ID);
    TransferStatus status{Transport::WAITING, 1};
    EXPECT_TRUE(transports_->getBatchTransferStatus(batch, status).ok());
    EXPECT_EQ(status.s, Transport::COMPLETED);
    EXPECT_EQ(status.transferred_bytes, 0u);
    EXPECT_TRUE(transports_->getTransferStatus(batch, 0, status).IsInvalidArgument());
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, GivesNoBatchThatMemoryCannotHold) {
    EXPECT_EQ(transports_->allocateBatchID(SIZE_MAX), Transport::INVALID_BATCH_ID);
}

TEST_F(MultiTransportTest, KnowsABatchFromAnyOtherNumber) {
    const auto batch = transports_->allocateBatchID(1);
    ASSERT_TRUE(transports_->freeBatchID(batch).ok());
    TransferStatus status{};
    for (const Transport::BatchID bad :
         {batch, Transport::BatchID{0}, Transport::BatchID{1}, Transport::BatchID{UINT64_MAX},
          reinterpret_cast<Transport::BatchID>(&status)}) {
        EXPECT_TRUE(transports_->freeBatchID(bad).IsInvalidArgument()) << bad;
        EXPECT_TRUE(transports_->submitTransfer(bad, {write(1, 1)}).IsInvalidArgument()) << bad;
        EXPECT_TRUE(transports_->getTransferStatus(bad, 0, status).IsInvalidArgument()) << bad;
        EXPECT_TRUE(transports_->getBatchTransferStatus(bad, status).IsInvalidArgument()) << bad;
    }
}

TEST_F(MultiTransportTest, KeepsABatchWhileASubmissionIsUnderWay) {
    std::promise<void> entered;
    std::promise<void> go_on;
    FakeTransport::Options options;
    options.after_submit = [&] {
        entered.set_value();
        go_on.get_future().wait();
    };
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(1);
    auto submitted = std::async(std::launch::async,
                                [&] { return transports_->submitTransfer(batch, {write(1, 1)}); });
    entered.get_future().wait();
    // Its task has ended already; only the call has not.
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).IsBatchBusy());
    go_on.set_value();
    EXPECT_TRUE(submitted.get().ok());
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, ATaskThatIsBeingSubmittedIsWaiting) {
    std::promise<void> entered;
    std::promise<void> go_on;
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) {
        entered.set_value();
        go_on.get_future().wait();
        return Status::OK();
    };
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(1);
    auto submitted = std::async(std::launch::async,
                                [&] { return transports_->submitTransfer(batch, {write(1, 1)}); });
    entered.get_future().wait();
    EXPECT_EQ(statusOf(batch, 0).s, Transport::WAITING);
    go_on.set_value();
    EXPECT_TRUE(submitted.get().ok());
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, FreesForgottenBatchesWithItself) {
    FakeTransport::Options options;
    options.threads = 0;
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(1);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    transports_.reset();  // the leak checker sees whether slices and batch went
}

// Memory is given out again at once; the id of the batch that was there must not come with it.
TEST(BatchIdTest, AFreedIdIsNeverTakenForItsSuccessor) {
    MultiTransport transports(std::make_shared<TransferMetadata>(std::make_shared<MemoryStorage>()),
                              "local");
    std::set<MultiTransport::BatchID> seen;
    MultiTransport::BatchID stale = transports.allocateBatchID(4);
    seen.insert(stale);
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(transports.freeBatchID(stale).ok());
        const MultiTransport::BatchID next = transports.allocateBatchID(4);
        ASSERT_TRUE(seen.insert(next).second) << "an id was given out twice";
        EXPECT_GE(static_cast<int64_t>(next), 0);
        MultiTransport::TransferStatus status;
        EXPECT_TRUE(transports.freeBatchID(stale).IsInvalidArgument());
        EXPECT_TRUE(transports.getBatchTransferStatus(stale, status).IsInvalidArgument());
        EXPECT_TRUE(transports.submitTransfer(stale, {{}}).IsInvalidArgument());
        EXPECT_TRUE(transports.getBatchTransferStatus(next, status).ok());
        stale = next;
    }
    EXPECT_TRUE(transports.freeBatchID(stale).ok());
}

}  // namespace
}  // namespace mooncake::test
