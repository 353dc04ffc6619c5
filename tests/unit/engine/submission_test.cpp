// SPDX-License-Identifier: Apache-2.0
// What a call that submits does, refuses, and leaves behind when a transport fails.
#include <atomic>
#include <new>
#include <system_error>
#include <vector>

#include "multi_transport_fixture.h"

namespace mooncake::test {
namespace {

TEST_F(MultiTransportTest, RefusesMoreTasksThanTheBatchHas) {
    add(1, "fake");
    const auto batch = transports_->allocateBatchID(3);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 1), write(1, 1)}).ok());
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 1), write(1, 1)}).IsTooManyRequests());
    TransferStatus status{};
    EXPECT_TRUE(transports_->getTransferStatus(batch, 2, status).IsInvalidArgument());
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 1)}).ok());
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// Case 27: an unknown segment refuses the call before anything of it is submitted.
TEST_F(MultiTransportTest, RefusesAnUnknownSegmentBeforeAnythingIsSubmitted) {
    std::atomic<int> submissions{0};
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) {
        ++submissions;
        return Status::OK();
    };
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(4);
    const Status status = transports_->submitTransfer(batch, {write(1, 1), write(7, 1)});
    EXPECT_TRUE(status.IsInvalidArgument()) << status;
    EXPECT_NE(status.message().find("segment 7"), std::string_view::npos) << status;
    EXPECT_EQ(submissions, 0);
    TransferStatus all{};
    ASSERT_TRUE(transports_->getBatchTransferStatus(batch, all).ok());
    EXPECT_EQ(all.s, Transport::COMPLETED) << "a task was added";
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// Who submits what is missing in a cache may miss nothing.
TEST_F(MultiTransportTest, NoRequestsAreFine) {
    const auto batch = transports_->allocateBatchID(1);
    EXPECT_TRUE(transports_->submitTransfer(batch, {}).ok());
    TransferStatus status{};
    EXPECT_TRUE(transports_->getTransferStatus(batch, 0, status).IsInvalidArgument());
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
    EXPECT_TRUE(transports_->submitTransfer(batch, {}).IsInvalidArgument()) << "no such batch";
}

TEST_F(MultiTransportTest, RefusesASegmentWithoutItsTransport) {
    addSegment(1, "elsewhere");
    const auto batch = transports_->allocateBatchID(1);
    const Status status = transports_->submitTransfer(batch, {write(1, 1)});
    EXPECT_TRUE(status.IsNotSupportedTransport()) << status;
    EXPECT_NE(status.message().find("elsewhere"), std::string_view::npos) << status;
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, HandsEachTransportItsTasksInOneCall) {
    std::vector<std::vector<size_t>> lengths_a;
    std::vector<std::vector<size_t>> lengths_b;
    const auto recordInto = [](std::vector<std::vector<size_t>>* calls) {
        FakeTransport::Options options;
        options.before_submit = [calls](const std::vector<Transport::TransferTask*>& tasks) {
            auto& call = calls->emplace_back();
            for (auto* task : tasks) call.push_back(task->request->length);
            return Status::OK();
        };
        return options;
    };
    add(1, "a", recordInto(&lengths_a));
    addSegment(2, "a");
    add(3, "b", recordInto(&lengths_b));
    const auto batch = transports_->allocateBatchID(5);
    ASSERT_TRUE(transports_
                    ->submitTransfer(batch, {write(1, 10), write(3, 20), write(2, 30), write(1, 40),
                                             write(3, 50)})
                    .ok());
    using Calls = std::vector<std::vector<size_t>>;
    EXPECT_EQ(lengths_a, (Calls{{10, 30, 40}}));
    EXPECT_EQ(lengths_b, (Calls{{20, 50}}));
    waitForBatch(batch);
    // Tasks are numbered by the order of the requests, whoever serves them.
    for (size_t task = 0; task < 5; ++task) {
        EXPECT_EQ(statusOf(batch, task).transferred_bytes, 10 * (task + 1));
    }
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// A call uses memory of its thread, which the calls in it must not touch.
TEST_F(MultiTransportTest, ATransportMaySubmitInTurn) {
    std::vector<std::vector<size_t>> below;  // the lengths in each call
    FakeTransport::Options options;
    options.before_submit = [&](const auto& tasks) {
        auto& call = below.emplace_back();
        for (auto* task : tasks) call.push_back(task->request->length);
        return Status::OK();
    };
    add(2, "below", options);
    Transport::BatchID inner = Transport::INVALID_BATCH_ID;
    options.before_submit = [&](const auto& tasks) {
        inner = transports_->allocateBatchID(3);
        const Status status =
            transports_->submitTransfer(inner, {write(2, 100), write(2, 200), write(2, 300)});
        EXPECT_EQ(tasks.size(), 2u);
        return status;
    };
    add(1, "above", options);
    for (int round = 0; round < 2; ++round) {
        below.clear();
        const auto outer = transports_->allocateBatchID(3);
        ASSERT_TRUE(
            transports_->submitTransfer(outer, {write(1, 10), write(2, 50), write(1, 20)}).ok());
        EXPECT_EQ(below, (std::vector<std::vector<size_t>>{{100, 200, 300}, {50}}));
        EXPECT_EQ(waitForBatch(outer).transferred_bytes, 80u);
        EXPECT_EQ(waitForBatch(inner).transferred_bytes, 600u);
        EXPECT_TRUE(transports_->freeBatchID(inner).ok());
        EXPECT_TRUE(transports_->freeBatchID(outer).ok());
    }
}

TEST_F(MultiTransportTest, ARefusedCallLeavesNothingToTheNext) {
    add(1, "fake");
    add(2, "other");
    const auto batch = transports_->allocateBatchID(2);
    EXPECT_FALSE(
        transports_->submitTransfer(batch, {write(2, 1), write(1, 10), write(7, 100)}).ok());
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 30), write(2, 500)}).ok());
    EXPECT_EQ(waitForBatch(batch).transferred_bytes, 530u);
    EXPECT_EQ(statusOf(batch, 0).transferred_bytes, 30u);
    EXPECT_EQ(statusOf(batch, 1).transferred_bytes, 500u);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, FailsTheTasksThatATransportDoesNotAccept) {
    FakeTransport::Options refusing;
    refusing.before_submit = [](const auto&) { return Status::Context("out of service"); };
    add(1, "refusing", refusing);
    add(2, "fake");
    const auto batch = transports_->allocateBatchID(2);
    const Status status = transports_->submitTransfer(batch, {write(1, 10), write(2, 10)});
    EXPECT_EQ(status, Status::Context("out of service"));
    EXPECT_EQ(waitForBatch(batch).s, Transport::FAILED);
    EXPECT_EQ(statusOf(batch, 0).s, Transport::FAILED);
    EXPECT_EQ(statusOf(batch, 0).transferred_bytes, 0u);
    EXPECT_EQ(statusOf(batch, 1).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// Whatever a transport does to a call, its tasks end and the batch can be freed.
TEST_F(MultiTransportTest, WhatATransportThrowsFailsItsTasks) {
    FakeTransport::Options options;
    options.before_submit = [](const auto& tasks) -> Status {
        if (tasks.size() == 1) throw std::bad_alloc();
        throw std::system_error(EAGAIN, std::generic_category(), "a thread");
    };
    add(1, "throwing", options);
    // It has taken one of its tasks before.
    FakeTransport::Options half;
    half.after_submit = [] { throw std::bad_alloc(); };
    add(2, "half", half);
    add(3, "fake");
    const auto batch = transports_->allocateBatchID(6);
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 10), write(3, 10)}).IsMemory());
    const Status status = transports_->submitTransfer(batch, {write(1, 10), write(1, 10)});
    EXPECT_TRUE(status.IsContext()) << status;
    EXPECT_NE(status.message().find("a thread"), std::string_view::npos) << status;
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(2, 10), write(2, 0)}).IsMemory());
    EXPECT_EQ(waitForBatch(batch).s, Transport::FAILED);
    for (const size_t task : {0, 2, 3, 5}) EXPECT_EQ(statusOf(batch, task).s, Transport::FAILED);
    EXPECT_EQ(statusOf(batch, 1).s, Transport::COMPLETED);
    EXPECT_EQ(statusOf(batch, 4).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// What the engine says before it has added anything, a transport cannot say.
TEST_F(MultiTransportTest, ATransportCannotSayThatNothingWasAdded) {
    Status refusal;
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) { return refusal; };
    add(1, "refusing", options);
    const auto batch = transports_->allocateBatchID(3);
    for (const Status& given : {Status::InvalidArgument("x"), Status::TooManyRequests("x"),
                                Status::NotSupportedTransport("x")}) {
        refusal = given;
        EXPECT_EQ(transports_->submitTransfer(batch, {write(1, 1)}), Status::Context("x"));
    }
    EXPECT_EQ(waitForBatch(batch).s, Transport::FAILED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

TEST_F(MultiTransportTest, FailsATaskThatATransportForgot) {
    add(1, "fake");
    const auto batch = transports_->allocateBatchID(1);
    // The fake makes no slice for it.
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 0)}).ok());
    EXPECT_EQ(statusOf(batch, 0).s, Transport::FAILED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

}  // namespace
}  // namespace mooncake::test
