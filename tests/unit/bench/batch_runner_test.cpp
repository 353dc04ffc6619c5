// SPDX-License-Identifier: Apache-2.0
#include "bench/batch_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "fake_api.h"

namespace mooncake::bench {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr size_t kBlock = 4096;
constexpr size_t kCount = 16;

class BatchRunnerTest : public ::testing::Test {
 protected:
    BatchRunnerTest() : api_({kCount * kBlock}), memory_(kCount * kBlock) {
        api_.registerLocalMemory(memory_.data(), memory_.size());
        for (size_t i = 0; i < kCount; ++i) {
            TransferRequest request{};
            request.opcode = TransferRequest::READ;
            request.source = memory_.data() + i * kBlock;
            request.target_id = FakeApi::kSegment;
            request.target_offset = i * kBlock;
            request.length = kBlock;
            request.file_id = 1;
            requests_.push_back(request);
        }
    }
    // The given blocks meet that fate, the others complete.
    void decree(Fate fate, const std::vector<uint64_t>& blocks) {
        api_.fate = [=](const TransferRequest& request) {
            for (uint64_t block : blocks) {
                if (request.target_offset == block * kBlock) return fate;
            }
            return Fate::kComplete;
        };
    }
    BatchOutcome run(std::chrono::milliseconds stallLimit = 60s) {
        return BatchRunner(api_, stallLimit).run(requests_);
    }

    FakeApi api_;
    std::vector<char> memory_;
    std::vector<TransferRequest> requests_;
};

TEST_F(BatchRunnerTest, CountsTheBytesOfACompletedBatchAndFreesIt) {
    for (int polls : {0, 1, 20}) {
        api_.polls = polls;
        const BatchOutcome outcome = run();
        EXPECT_TRUE(outcome.ok());
        EXPECT_EQ(outcome.completedBytes, kCount * kBlock);
        EXPECT_EQ(outcome.failed, 0u);
        EXPECT_EQ(api_.liveBatches, 0u);
    }
    EXPECT_THAT(api_.protests, IsEmpty());
}

// Case 4
TEST_F(BatchRunnerTest, CountsOnlyCompletedRequests) {
    for (bool early : {false, true}) {
        api_.failsEarly = early;
        api_.polls = 3;
        decree(Fate::kFail, {2, 5});
        const BatchOutcome outcome = run();
        EXPECT_FALSE(outcome.ok());
        EXPECT_EQ(outcome.completedBytes, (kCount - 2) * kBlock);
        EXPECT_EQ(outcome.failed, 2u);
        EXPECT_TRUE(outcome.released);
        ASSERT_EQ(outcome.problems.size(), 2u);
        EXPECT_EQ(outcome.problems[0].index, 2u);
        EXPECT_EQ(outcome.problems[1].index, 5u);
        EXPECT_EQ(outcome.problems[0].what, "is FAILED");
        EXPECT_EQ(api_.liveBatches, 0u) << "every request was waited for";
    }
}

// Case 4: an engine that takes a short transfer for a whole one.
TEST_F(BatchRunnerTest, CompletedWithFewerBytesIsAFailure) {
    decree(Fate::kShort, {7});
    const BatchOutcome outcome = run();
    EXPECT_EQ(outcome.completedBytes, (kCount - 1) * kBlock);
    EXPECT_EQ(outcome.failed, 1u);
    ASSERT_EQ(outcome.problems.size(), 1u);
    EXPECT_THAT(outcome.problems[0].what, HasSubstr("moved 2048 of 4096 bytes"));
}

TEST_F(BatchRunnerTest, NamesTheFirstProblemsAndCountsAll) {
    api_.fate = [](const TransferRequest&) { return Fate::kFail; };
    const BatchOutcome outcome = run();
    EXPECT_EQ(outcome.failed, kCount);
    EXPECT_EQ(outcome.problems.size(), BatchOutcome::kMaxProblems);
    EXPECT_EQ(outcome.completedBytes, 0u);
}

TEST_F(BatchRunnerTest, RequestThatNeverEndsIsNamedAndKeepsItsMemory) {
    decree(Fate::kHang, {3});
    const BatchOutcome outcome = run(50ms);
    EXPECT_FALSE(outcome.released);
    EXPECT_EQ(outcome.failed, 1u);
    ASSERT_EQ(outcome.problems.size(), 1u);
    EXPECT_EQ(outcome.problems[0].index, 3u);
    EXPECT_THAT(outcome.problems[0].what, HasSubstr("has not ended"));
    EXPECT_EQ(outcome.completedBytes, (kCount - 1) * kBlock);
    EXPECT_EQ(api_.liveBatches, 1u) << "a batch with a request under way must not be freed";
}

TEST_F(BatchRunnerTest, RequestThatTimedOutKeepsItsMemoryAsLongAsTheBatchCannotBeFreed) {
    decree(Fate::kTimeout, {3});
    const BatchOutcome outcome = run(50ms);
    EXPECT_FALSE(outcome.released);
    EXPECT_EQ(outcome.failed, 1u);
    ASSERT_EQ(outcome.problems.size(), 1u);
    EXPECT_EQ(outcome.problems[0].what, "is TIMEOUT");
}

// Slow is not stuck: as long as requests end now and then, the batch is waited for.
TEST_F(BatchRunnerTest, SlowBatchIsWaitedFor) {
    struct SlowApi final : TransferApi {
        std::chrono::steady_clock::time_point begun;
        size_t count = 0;
        int registerLocalMemory(void*, size_t) override { return 0; }
        int unregisterLocalMemory(void*) override { return 0; }
        BatchID allocateBatchID(size_t) override { return 1; }
        Status submitTransfer(BatchID, const std::vector<TransferRequest>& requests) override {
            begun = std::chrono::steady_clock::now();
            count = requests.size();
            return Status::OK();
        }
        bool ended(size_t index) const {
            return std::chrono::steady_clock::now() - begun > 100ms * (index + 1);
        }
        Status getTransferStatus(BatchID, size_t index, TransferStatus& status) override {
            if (ended(index)) status = {TransferStatusEnum::COMPLETED, kBlock};
            return Status::OK();
        }
        // Says nothing of what has been moved until the end.
        Status getBatchTransferStatus(BatchID, TransferStatus& status) override {
            if (ended(count - 1)) status = {TransferStatusEnum::COMPLETED, count * kBlock};
            return Status::OK();
        }
        Status freeBatchID(BatchID) override { return Status::OK(); }
        bool waitForProgress(std::chrono::nanoseconds) override {
            std::this_thread::sleep_for(1ms);
            return true;
        }
    } slow;
    const BatchOutcome outcome = BatchRunner(slow, 1s).run(requests_);  // takes 1.6 s
    EXPECT_TRUE(outcome.ok());
    EXPECT_EQ(outcome.completedBytes, kCount * kBlock);
}

TEST_F(BatchRunnerTest, RefusedBatchMayStillUseItsMemory) {
    api_.refusal = Status::DeviceNotFound("no such segment");
    const BatchOutcome outcome = run();
    EXPECT_FALSE(outcome.ok());
    EXPECT_FALSE(outcome.released);
    EXPECT_THAT(outcome.refusal, HasSubstr("no such segment"));
    EXPECT_EQ(outcome.completedBytes, 0u);
}

TEST_F(BatchRunnerTest, BatchAfterBatch) {
    BatchRunner runner(api_, 60s);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(runner.run(requests_).completedBytes, kCount * kBlock);
    EXPECT_EQ(api_.liveBatches, 0u);
    EXPECT_THAT(api_.batchSizes, ElementsAre(kCount, kCount, kCount, kCount, kCount));
}

}  // namespace
}  // namespace mooncake::bench
