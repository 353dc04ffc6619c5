// SPDX-License-Identifier: Apache-2.0
#include "multi_transport.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <new>
#include <set>
#include <system_error>
#include <thread>

#include "fake_transport.h"
#include "memory_storage.h"
#include "transport/progress_source.h"

namespace mooncake::test {
namespace {

using std::chrono::steady_clock;
using Request = Transport::TransferRequest;
using TransferStatus = Transport::TransferStatus;

constexpr std::chrono::seconds kLimit(60);

class MultiTransportTest : public ::testing::Test {
 protected:
    MultiTransportTest()
        : storage_(std::make_shared<MemoryStorage>()),
          metadata_(std::make_shared<TransferMetadata>(storage_)),
          transports_(std::make_unique<MultiTransport>(metadata_, "node")) {}

    void addSegment(Transport::SegmentID id, const std::string& protocol) {
        auto desc = std::make_shared<TransferMetadata::SegmentDesc>();
        desc->name = "segment" + std::to_string(id);
        desc->protocol = protocol;
        const std::string name = desc->name;
        ASSERT_EQ(metadata_->addLocalSegment(id, name, std::move(desc)), 0);
    }

    // The transport of protocol `proto`, with segment `id` of that protocol.
    FakeTransport* add(Transport::SegmentID id, const std::string& proto,
                       FakeTransport::Options options = {}) {
        addSegment(id, proto);
        auto transport = std::make_shared<FakeTransport>(std::move(options));
        FakeTransport* const raw = transport.get();
        EXPECT_EQ(transports_->addTransport(proto, std::move(transport), nullptr), 0);
        return raw;
    }

    // Writes, as a rule: they may all come from one buffer.
    Request write(Transport::SegmentID segment, size_t length) {
        return {Request::WRITE, buffer_.data(), segment, 0, length, 0, 1};
    }

    TransferStatus statusOf(Transport::BatchID batch, size_t task) {
        TransferStatus status{};
        EXPECT_TRUE(transports_->getTransferStatus(batch, task, status).ok());
        return status;
    }

    TransferStatus waitForBatch(Transport::BatchID batch) {
        const auto limit = steady_clock::now() + kLimit;
        TransferStatus status{};
        do {
            EXPECT_TRUE(transports_->getBatchTransferStatus(batch, status).ok());
            if (status.s != Transport::WAITING) return status;
            std::this_thread::yield();
        } while (steady_clock::now() < limit);
        ADD_FAILURE() << "the batch did not end in time";
        return status;
    }

    std::array<char, 65536> buffer_{};
    std::shared_ptr<MemoryStorage> storage_;
    std::shared_ptr<TransferMetadata> metadata_;
    std::unique_ptr<MultiTransport> transports_;
};

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

// A transport that works on the threads of those who ask.
class DrivenTransport : public FakeTransport, public ProgressSource {
 public:
    explicit DrivenTransport(Options options) : FakeTransport(std::move(options)) {}
    void enableProgress() override { ++enabled; }
    bool progress() override {
        ++polls;
        if (!ready) return false;
        endAll(true);
        return true;
    }
    bool waitForProgress(std::chrono::nanoseconds limit) override {
        ++waits;
        longest = std::max(longest.load(), limit);
        if (ready) endAll(true);
        return ready;
    }

    std::atomic<int> enabled{0};
    std::atomic<int> polls{0};
    std::atomic<int> waits{0};
    std::atomic<bool> ready{false};
    std::atomic<std::chrono::nanoseconds> longest{};
};

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

// Holds whoever waits for progress until it is told to let them go.
class HoldingTransport : public DrivenTransport {
 public:
    explicit HoldingTransport(Options options) : DrivenTransport(std::move(options)) {}
    bool waitForProgress(std::chrono::nanoseconds) override {
        entered.set_value();
        go_on.get_future().wait();
        return false;
    }
    std::promise<void> entered;
    std::promise<void> go_on;
};

// The destructor of a transport takes its time: never that of a thread that only asks.
TEST_F(MultiTransportTest, ATransportIsDestroyedByWhoUninstallsIt) {
    std::thread::id destroyer;
    FakeTransport::Options options;
    options.threads = 0;
    options.on_destroy = [&] { destroyer = std::this_thread::get_id(); };
    auto made = std::make_shared<HoldingTransport>(options);
    HoldingTransport& holding = *made;
    ASSERT_EQ(transports_->addTransport("holding", std::move(made), nullptr), 0);
    std::thread waiter([&] { transports_->waitForProgress(std::chrono::seconds(1)); });
    holding.entered.get_future().wait();
    std::atomic<int> rc{1};
    std::thread uninstaller([&] { rc = transports_->uninstallTransport("holding"); });
    const auto limit = steady_clock::now() + kLimit;
    while (transports_->getTransport("holding") != nullptr && steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_EQ(rc, 1);
    EXPECT_EQ(destroyer, std::thread::id());
    const std::thread::id expected = uninstaller.get_id();
    holding.go_on.set_value();
    waiter.join();
    uninstaller.join();
    EXPECT_EQ(rc, 0);
    EXPECT_EQ(destroyer, expected);
}

// A thread may be held up in a transport for as long as a page of its memory takes to come.
TEST_F(MultiTransportTest, OnlyWhoUninstallsATransportWaitsForItsCallers) {
    std::promise<void> entered;
    std::promise<void> go_on;
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) {
        entered.set_value();
        go_on.get_future().wait();
        return Status::OK();
    };
    add(1, "held", options);
    const auto batch = transports_->allocateBatchID(1);
    std::thread held([&] { EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok()); });
    entered.get_future().wait();
    for (int i = 2; i < 100; ++i) {
        // Transports come, and segments are used for the first time.
        const std::string proto = "fake" + std::to_string((i - 2) / 10);
        if ((i - 2) % 10 == 0) {
            add(i, proto);
        } else {
            addSegment(i, proto);
        }
        const auto other = transports_->allocateBatchID(2);
        EXPECT_TRUE(transports_->submitTransfer(other, {write(i, 10), write(2, 5)}).ok());
        EXPECT_EQ(waitForBatch(other).transferred_bytes, 15u);
        EXPECT_TRUE(transports_->freeBatchID(other).ok());
    }
    go_on.set_value();
    held.join();
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// What is remembered of a segment is not to outlive it.
TEST_F(MultiTransportTest, ASegmentThatChangesIsLookedUpAgain) {
    add(1, "a");
    add(2, "b");
    const auto submit = [&](Transport::SegmentID segment) {
        const auto batch = transports_->allocateBatchID(1);
        Status status = transports_->submitTransfer(batch, {write(segment, 10)});
        if (status.ok()) {
            EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
        }
        EXPECT_TRUE(transports_->freeBatchID(batch).ok());
        return status;
    };
    EXPECT_TRUE(submit(1).ok());
    EXPECT_TRUE(submit(2).ok());
    // Removed.
    ASSERT_EQ(metadata_->removeLocalSegment("segment1"), 0);
    EXPECT_TRUE(submit(1).IsInvalidArgument());
    EXPECT_TRUE(submit(2).ok());
    // There again, with another protocol.
    addSegment(1, "b");
    ASSERT_EQ(transports_->uninstallTransport("a"), 0);
    EXPECT_TRUE(submit(1).ok());
    // Its transport goes, and comes back as another instance.
    ASSERT_EQ(transports_->uninstallTransport("b"), 0);
    EXPECT_TRUE(submit(1).IsNotSupportedTransport());
    EXPECT_TRUE(submit(2).IsNotSupportedTransport());
    add(2, "b");
    EXPECT_TRUE(submit(1).ok());
    EXPECT_TRUE(submit(2).ok());
}

// The store's answer changes what a handle means.
TEST_F(MultiTransportTest, AFetchedDescriptorOfAnotherProtocolIsFollowed) {
    TransferMetadata node(storage_);
    const auto publish = [&](const char* protocol) {
        TransferMetadata::SegmentDesc desc;
        desc.name = "far";
        desc.protocol = protocol;
        ASSERT_EQ(node.updateSegmentDesc("far", desc), 0);
    };
    publish("a");
    const auto segment = metadata_->getSegmentID("far");
    ASSERT_NE(segment, TransferMetadata::kInvalidSegmentID);
    std::atomic<int> with_a{0};
    std::atomic<int> with_b{0};
    FakeTransport::Options options;
    options.before_submit = [&](const auto&) { return ++with_a, Status::OK(); };
    add(100, "a", options);
    options.before_submit = [&](const auto&) { return ++with_b, Status::OK(); };
    add(101, "b", options);
    const auto batch = transports_->allocateBatchID(3);
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(segment, 1)}).ok());
    EXPECT_EQ(with_a, 1);
    publish("b");
    ASSERT_EQ(metadata_->syncSegmentCache("far"), 0);
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(segment, 1)}).ok());
    EXPECT_EQ(with_a, 1);
    EXPECT_EQ(with_b, 1);
    EXPECT_EQ(waitForBatch(batch).s, Transport::COMPLETED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
}

// Case 44: transports and segments come and go while others submit.
TEST_F(MultiTransportTest, TransportsComeAndGoBesideSubmitters) {
    add(1, "stays");
    addSegment(2, "comes");
    std::atomic<bool> done{false};
    std::atomic<uint64_t> served{0};
    const auto use = [&] {
        do {
            const auto batch = transports_->allocateBatchID(2);
            const Status status = transports_->submitTransfer(batch, {write(1, 10), write(2, 20)});
            EXPECT_TRUE(status.ok() || status.IsNotSupportedTransport() ||
                        status.IsInvalidArgument())
                << status;
            const TransferStatus all = waitForBatch(batch);
            transports_->waitForProgress(std::chrono::nanoseconds(0));
            if (status.ok() && all.s == Transport::COMPLETED) {
                EXPECT_EQ(all.transferred_bytes, 30u);
                ++served;
            }
            EXPECT_TRUE(transports_->freeBatchID(batch).ok());
        } while (!done);
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(use);
    for (int i = 0; i < 100 || (served == 0 && i < 1000000); ++i) {
        EXPECT_EQ(
            transports_->addTransport(
                "comes", std::make_shared<DrivenTransport>(FakeTransport::Options{}), nullptr),
            0);
        addSegment(2, "comes");
        if (i % 2 == 0) metadata_->removeLocalSegment("segment2");
        std::this_thread::yield();
        EXPECT_EQ(transports_->uninstallTransport("comes"), 0);
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
}

// Case 40, the engine's part: an uninstalled transport has ended every request, also those being
// submitted.
TEST_F(MultiTransportTest, UninstallReturnsWhenEveryRequestHasEnded) {
    std::promise<void> entered;
    std::promise<void> go_on;
    std::atomic<bool> destroyed{false};
    FakeTransport::Options options;
    options.threads = 0;
    options.before_submit = [&](const std::vector<Transport::TransferTask*>& tasks) {
        if (tasks.size() == 2) {
            entered.set_value();
            go_on.get_future().wait();
        }
        return Status::OK();
    };
    options.on_destroy = [&] { destroyed = true; };
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(3);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    auto submitted = std::async(std::launch::async, [&] {
        return transports_->submitTransfer(batch, {write(1, 10), write(1, 10)});
    });
    entered.get_future().wait();
    auto uninstalled =
        std::async(std::launch::async, [&] { return transports_->uninstallTransport("fake"); });
    // Once it is out of the map, uninstall waits for the submission.
    const auto limit = steady_clock::now() + kLimit;
    while (transports_->getTransport("fake") != nullptr && steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).IsNotSupportedTransport());
    EXPECT_FALSE(destroyed);
    // Not a limit: without the wait it returns at once.
    EXPECT_EQ(uninstalled.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    go_on.set_value();
    EXPECT_EQ(uninstalled.get(), 0);
    EXPECT_TRUE(destroyed);
    EXPECT_TRUE(submitted.get().ok());
    TransferStatus all{};
    ASSERT_TRUE(transports_->getBatchTransferStatus(batch, all).ok());
    EXPECT_EQ(all.s, Transport::FAILED);
    EXPECT_TRUE(transports_->freeBatchID(batch).ok());
    EXPECT_EQ(transports_->uninstallTransport("fake"), ERR_INVALID_ARGUMENT);
}

TEST_F(MultiTransportTest, InstallsOncePerProtocolAndAgainAfterUninstall) {
    FakeTransport* first = add(1, "fake");
    EXPECT_EQ(transports_->getTransport("fake"), first);
    std::atomic<bool> destroyed{false};
    FakeTransport::Options options;
    options.on_destroy = [&] { destroyed = true; };
    EXPECT_EQ(transports_->addTransport("fake", std::make_shared<FakeTransport>(options), nullptr),
              ERR_INVALID_ARGUMENT);
    EXPECT_TRUE(destroyed);
    EXPECT_EQ(transports_->installTransportWithArgs("fake", nullptr), first);
    EXPECT_EQ(transports_->uninstallTransport("fake"), 0);
    EXPECT_EQ(transports_->getTransport("fake"), nullptr);
    EXPECT_TRUE(transports_->listTransports().empty());
    EXPECT_NE(add(1, "fake"), nullptr);
    EXPECT_EQ(transports_->listTransports().size(), 1u);
}

TEST_F(MultiTransportTest, ATransportThatFailsToInstallIsDestroyed) {
    std::atomic<bool> destroyed{false};
    FakeTransport::Options options;
    options.install_result = ERR_CONTEXT;
    options.on_destroy = [&] { destroyed = true; };
    EXPECT_EQ(transports_->addTransport("fake", std::make_shared<FakeTransport>(options), nullptr),
              ERR_CONTEXT);
    EXPECT_TRUE(destroyed);
    EXPECT_EQ(transports_->getTransport("fake"), nullptr);
}

TEST_F(MultiTransportTest, AfterShutdownBatchesCanOnlyBePolledAndFreed) {
    FakeTransport::Options options;
    options.threads = 0;
    add(1, "fake", options);
    const auto batch = transports_->allocateBatchID(2);
    ASSERT_TRUE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    transports_->shutdown();
    EXPECT_EQ(statusOf(batch, 0).s, Transport::FAILED);
    EXPECT_FALSE(transports_->submitTransfer(batch, {write(1, 10)}).ok());
    EXPECT_EQ(transports_->allocateBatchID(1), Transport::INVALID_BATCH_ID);
    EXPECT_EQ(transports_->addTransport("fake", std::make_shared<FakeTransport>(options), nullptr),
              ERR_INVALID_ARGUMENT);
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
