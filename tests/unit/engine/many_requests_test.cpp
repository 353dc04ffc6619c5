// SPDX-License-Identifier: Apache-2.0
// A million requests, and many threads.
#include <atomic>
#include <thread>
#include <vector>

#include "multi_transport_fixture.h"

namespace mooncake::test {
namespace {

// Case 43, the engine's part: a million outstanding requests.
TEST_F(MultiTransportTest, AMillionRequestsComplete) {
    add(1, "fake");
    constexpr size_t kBatch = 100000;
    std::vector<Transport::BatchID> batches;
    const std::vector<Request> requests(kBatch, write(1, 8));
    for (int i = 0; i < 10; ++i) {
        batches.push_back(transports_->allocateBatchID(kBatch));
        ASSERT_TRUE(transports_->submitTransfer(batches.back(), requests).ok());
    }
    for (const auto batch : batches) {
        const TransferStatus all = waitForBatch(batch);
        EXPECT_EQ(all.s, Transport::COMPLETED);
        EXPECT_EQ(all.transferred_bytes, 8 * kBatch);
        EXPECT_TRUE(transports_->freeBatchID(batch).ok());
    }
}

// Case 44, the engine's part: threads with batches of their own, and two that share one.
TEST_F(MultiTransportTest, ServesManyThreadsAtOnce) {
    FakeTransport::Options options;
    options.slice_bytes = 16;
    add(1, "fake", options);
    const Request request = write(1, 50);
    const auto use = [&] {
        for (int round = 0; round < 200; ++round) {
            const auto batch = transports_->allocateBatchID(8);
            EXPECT_TRUE(transports_->submitTransfer(batch, {request, request, request}).ok());
            EXPECT_TRUE(transports_->submitTransfer(batch, {request}).ok());
            const TransferStatus all = waitForBatch(batch);
            EXPECT_EQ(all.s, Transport::COMPLETED);
            EXPECT_EQ(all.transferred_bytes, 200u);
            EXPECT_TRUE(transports_->freeBatchID(batch).ok());
        }
    };
    constexpr size_t kShared = 400;
    const auto shared = transports_->allocateBatchID(2 * kShared);
    const auto submitToShared = [&] {
        for (size_t i = 0; i < kShared; ++i) {
            EXPECT_TRUE(transports_->submitTransfer(shared, {request}).ok());
        }
    };
    std::atomic<bool> done{false};
    const auto pollShared = [&] {
        TransferStatus status{};
        while (!done) {
            EXPECT_TRUE(transports_->getBatchTransferStatus(shared, status).ok());
            for (size_t task = 0; task < 2 * kShared; ++task) {
                if (!transports_->getTransferStatus(shared, task, status).ok()) break;
                // Never anything between: a task that is not counted yet is not done.
                if (status.s == Transport::COMPLETED) {
                    EXPECT_EQ(status.transferred_bytes, 50u);
                }
                EXPECT_NE(status.s, Transport::FAILED);
            }
        }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(use);
    threads.emplace_back(submitToShared);
    threads.emplace_back(submitToShared);
    std::thread poller(pollShared);
    for (auto& thread : threads) thread.join();
    done = true;
    poller.join();
    EXPECT_EQ(waitForBatch(shared).transferred_bytes, 2 * kShared * 50);
    EXPECT_TRUE(transports_->freeBatchID(shared).ok());
}

}  // namespace
}  // namespace mooncake::test
