// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <set>

#include "bench/report.h"
#include "fake_api.h"

namespace mooncake::bench {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Le;
using ::testing::Not;

constexpr uint64_t kBlock = 8192;  // two patterns in each

WorkloadSpec specOf(const FakeApi& api, Operation operation, bool verify) {
    WorkloadSpec spec;
    spec.operation = operation;
    spec.segment = FakeApi::kSegment;
    for (const auto& [id, data] : api.files) {
        spec.files.push_back({id, "/data/" + std::to_string(id), data.size()});
    }
    spec.batchSize = 8;
    spec.blockSize = kBlock;
    spec.threads = 2;
    spec.duration = 30ms;
    spec.verify = verify;
    spec.seed = 11;
    spec.run = 22;
    return spec;
}

void waitOnly(Workload&, Phase, int doneFd) {
    pollfd entry = {doneFd, POLLIN, 0};
    EXPECT_EQ(poll(&entry, 1, 60000), 1);
}

// Lets the transfer go on until `reached`.
Workload::Watch until(const std::function<bool()>& reached) {
    return [reached](Workload& workload, Phase phase, int doneFd) {
        if (phase == Phase::kTransfer) {
            const auto limit = std::chrono::steady_clock::now() + 60s;
            while (!reached() && std::chrono::steady_clock::now() < limit) poll(nullptr, 0, 1);
            workload.requestStop();
        }
        waitOnly(workload, phase, doneFd);
    };
}

// Which blocks were written. Thread-safe.
class WrittenBlocks {
 public:
    void note(const TransferRequest& request) {
        const std::lock_guard lock(mutex_);
        if (request.opcode == TransferRequest::WRITE) {
            blocks_.insert({request.file_id, request.target_offset});
        }
    }
    size_t count() const {
        const std::lock_guard lock(mutex_);
        return blocks_.size();
    }

 private:
    mutable std::mutex mutex_;
    std::set<std::pair<uint32_t, uint64_t>> blocks_;
};

RunResult run(FakeApi& api, const WorkloadSpec& spec, const Workload::Watch& watch = waitOnly) {
    std::unique_ptr<Workload> workload;
    const MaybeFailure failure = Workload::create(api, spec, workload);
    EXPECT_FALSE(failure.has_value()) << failure->message;
    return failure ? RunResult() : workload->run(watch);
}

ExitCode exitOf(const RunResult& result, const WorkloadSpec& spec) {
    Options options{};
    options.operation = spec.operation;
    options.verify = spec.verify;
    const MaybeFailure failure = judge(result, options);
    return failure ? failure->code : ExitCode::kOk;
}

// What happens to the writes, or to the reads, of one block.
using Decree = std::function<Fate(const TransferRequest&)>;
Decree onWrites(Fate fate, uint64_t offset) {
    return [=](const TransferRequest& request) {
        return request.opcode == TransferRequest::WRITE && request.target_offset == offset
                   ? fate
                   : Fate::kComplete;
    };
}
Decree onReads(Fate fate, uint64_t offset) {
    return [=](const TransferRequest& request) {
        return request.opcode == TransferRequest::READ && request.target_offset == offset
                   ? fate
                   : Fate::kComplete;
    };
}

TEST(Workload, CountsBytesAndBatchesOfAllThreads) {
    FakeApi api({64 * kBlock, 100 * kBlock + 77});
    api.polls = 2;
    const WorkloadSpec spec = specOf(api, Operation::kRead, false);
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kOk);
    EXPECT_GT(result.batches, 0u);
    EXPECT_EQ(result.completedBytes, result.batches * spec.batchSize * kBlock);
    EXPECT_GE(result.seconds, 0.03);
    EXPECT_EQ(api.batchSizes.size(), result.batches + 2) << "one probe for each file besides";
    EXPECT_THAT(api.protests, IsEmpty());
    EXPECT_EQ(api.liveBatches, 0u);
    EXPECT_THAT(api.memory, IsEmpty()) << "all buffers are unregistered";
}

TEST(Workload, SubmitsAreThoseOfTheMeasuredTime) {
    FakeApi api({64 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kRead, false);
    spec.threads = 1;
    EXPECT_FALSE(run(api, spec).submits.has_value()) << "the transport does not count";
    api.counts = true;
    const RunResult result = run(api, spec);
    ASSERT_TRUE(result.submits.has_value());
    EXPECT_GT(result.batches, 0u);
    EXPECT_EQ(result.submits->calls, result.batches) << "one probe was before";
    EXPECT_EQ(result.submits->ios, 3 * result.batches);
    EXPECT_EQ(result.submits->meanBatch(), 3);
}

TEST(Workload, ThreadsWriteDisjointBlocksAndAllOfThem) {
    FakeApi api({10 * kBlock, 7 * kBlock + 1});
    WrittenBlocks written;
    api.fate = [&](const TransferRequest& request) {
        written.note(request);
        return Fate::kComplete;
    };
    WorkloadSpec spec = specOf(api, Operation::kWrite, false);
    spec.threads = 3;
    spec.duration = 1h;
    run(api, spec, until([&] { return written.count() == 17; }));
    EXPECT_EQ(written.count(), 17u);
}

TEST(Workload, BatchesHaveTheirFullSizeEvenOnSmallFiles) {
    FakeApi api({4 * kBlock});
    const WorkloadSpec spec = specOf(api, Operation::kRead, false);
    const RunResult result = run(api, spec);
    EXPECT_EQ(std::count(api.batchSizes.begin(), api.batchSizes.end(), 8),
              static_cast<std::ptrdiff_t>(result.batches));
}

// Two writes of one block under way together would leave it unknown which of them stays.
TEST(Workload, VerifiedBatchHoldsNoBlockTwice) {
    FakeApi api({6 * kBlock});
    const WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kOk);
    EXPECT_THAT(api.protests, Not(::testing::Contains("block twice in a batch")));
    EXPECT_THAT(api.batchSizes, Each(Le(3u)));
}

TEST(Workload, WhatWasWrittenIsReadBackAndGood) {
    FakeApi api({64 * kBlock, 20 * kBlock});
    WrittenBlocks written;
    api.fate = [&](const TransferRequest& request) {
        written.note(request);
        return Fate::kComplete;
    };
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    spec.duration = 1h;
    const RunResult result = run(api, spec, until([&] { return written.count() == 84; }));
    EXPECT_EQ(exitOf(result, spec), ExitCode::kOk);
    EXPECT_TRUE(result.verified);
    EXPECT_EQ(result.mismatches, 0u);
    EXPECT_EQ(result.tally.good, 84 * kBlock / kPatternBlock);
    EXPECT_EQ(result.completedBytes % (8 * kBlock), 0u) << "the verification is not counted";
    // The files themselves hold it, too.
    for (uint32_t file : {1u, 2u}) {
        const std::vector<char>& data = api.files[file];
        for (uint64_t at = 0; at < data.size(); at += kPatternBlock) {
            const BlockTag tag = {file, at, spec.seed, spec.run, 0};
            EXPECT_EQ(checkBlock(data.data() + at, tag, Expect::kAnyVersion).state,
                      BlockState::kGood);
        }
    }

    const WorkloadSpec reading = specOf(api, Operation::kRead, true);
    const RunResult again = run(api, reading);
    EXPECT_EQ(exitOf(again, reading), ExitCode::kOk);
    EXPECT_EQ(again.tally.good * kPatternBlock, again.completedBytes);
}

// Each of these tells success for something that is not.
TEST(Workload, LostMisplacedAndTornWritesAreSeenAndToldApart) {
    struct Lie {
        Fate fate;
        const char* words;
    };
    for (const Lie& lie : {Lie{Fate::kNothing, "never written"}, Lie{Fate::kMisplace, "misplaced"},
                           Lie{Fate::kWrongFile, "another file"}, Lie{Fate::kTear, "torn"}}) {
        FakeApi api({16 * kBlock, 16 * kBlock});
        api.fate = onWrites(lie.fate, 5 * kBlock);
        WorkloadSpec spec = specOf(api, Operation::kWrite, true);
        const RunResult result = run(api, spec);
        EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification) << lie.words;
        ASSERT_GT(result.mismatches, 0u) << lie.words;
        std::string lines;
        for (const std::string& line : result.mismatchLines) lines += line + "\n";
        EXPECT_THAT(lines, HasSubstr(lie.words));
        EXPECT_THAT(lines, HasSubstr("(/data/"));
    }
}

// Case 4: the block holds what the run wrote there before, perfectly sound.
TEST(Workload, LostOverwriteIsStale) {
    FakeApi api({8 * kBlock});
    std::atomic<int> writes{0};
    api.fate = [&](const TransferRequest& request) {
        const bool target =
            request.opcode == TransferRequest::WRITE && request.target_offset == kBlock;
        return target && writes++ > 0 ? Fate::kNothing : Fate::kComplete;
    };
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    spec.duration = 1h;
    const RunResult result = run(api, spec, until([&] { return writes > 1; }));
    ASSERT_GT(writes, 1);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification);
    EXPECT_EQ(result.mismatches, kBlock / kPatternBlock);
    ASSERT_FALSE(result.mismatchLines.empty());
    EXPECT_THAT(result.mismatchLines[0], HasSubstr("stale"));
}

// A run with the same seed has written the file before; the writes of this one get lost.
TEST(Workload, BlocksOfAnEarlierRunAreStale) {
    FakeApi api({8 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    run(api, spec);
    spec.run = 23;
    api.fate = onWrites(Fate::kNothing, 0);
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification);
    ASSERT_FALSE(result.mismatchLines.empty());
    EXPECT_THAT(result.mismatchLines[0], HasSubstr("stale"));
}

// A read that moves nothing finds the buffer as the read before left it: the very same block.
TEST(Workload, ReadThatMovesNothingIsSeen) {
    FakeApi api({8 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    spec.threads = 1;
    run(api, spec);
    spec.operation = Operation::kRead;
    std::atomic<int> reads{0};
    api.fate = [&](const TransferRequest& request) {
        return request.target_offset == kBlock && reads++ > 0 ? Fate::kNothing : Fate::kComplete;
    };
    spec.duration = 1h;
    const RunResult result = run(api, spec, until([&] { return reads > 2; }));
    ASSERT_GT(reads, 1);
    EXPECT_GT(result.tally.good, 0u);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification);
}

TEST(Workload, ReadingDamagedBlocksIsSeen) {
    FakeApi api({8 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    run(api, spec);
    api.files[1][3 * kBlock + 5000] ^= 1;
    spec.operation = Operation::kRead;
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification);
    ASSERT_FALSE(result.mismatchLines.empty());
    EXPECT_THAT(result.mismatchLines[0], HasSubstr("torn block (wrong from byte 904 on)"));
}

TEST(Workload, ReadingWithAnotherSeedIsSeen) {
    FakeApi api({8 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    run(api, spec);
    spec.operation = Operation::kRead;
    spec.seed = 12;
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification);
    EXPECT_THAT(result.mismatchLines[0], HasSubstr("another --verify_seed"));
}

TEST(Workload, ReadingAFileThatNobodyWroteVerifiesNothing) {
    FakeApi api({8 * kBlock});
    const WorkloadSpec spec = specOf(api, Operation::kRead, true);
    const RunResult zeros = run(api, spec);
    EXPECT_EQ(zeros.tally.good, 0u);
    EXPECT_GT(zeros.tally.zero, 0u);
    EXPECT_EQ(exitOf(zeros, spec), ExitCode::kVerification);
    std::fill(api.files[1].begin(), api.files[1].end(), 'x');
    const RunResult foreign = run(api, spec);
    EXPECT_GT(foreign.tally.foreign, 0u);
    EXPECT_EQ(exitOf(foreign, spec), ExitCode::kVerification);
}

// Each operation, in a window: every request is counted once, in its direction and its file, and
// what was written is what is there.
TEST(Workload, EveryOperationInAWindowIsVerifiedAndCounted) {
    for (const Operation operation : {Operation::kRead, Operation::kWrite, Operation::kRandRead,
                                      Operation::kRandWrite, Operation::kRw, Operation::kRandRw}) {
        FakeApi api({64 * kBlock, 20 * kBlock});
        api.polls = 3;
        run(api, specOf(api, Operation::kWrite, true));  // something to read
        WorkloadSpec spec = specOf(api, operation, true);
        spec.run = 23;
        spec.batchSize = 2;
        spec.window = 5;
        api.batchSizes.clear();
        const RunResult result = run(api, spec);
        EXPECT_EQ(exitOf(result, spec), ExitCode::kOk) << nameOf(operation);
        EXPECT_THAT(api.protests, IsEmpty());
        EXPECT_EQ(api.liveBatches, 0u);
        const Figures& figures = result.figures;
        EXPECT_EQ(figures.read.bytes + figures.written.bytes, result.completedBytes);
        EXPECT_EQ(figures.read.requests + figures.written.requests, result.batches * 2);
        EXPECT_EQ(figures.readLatency.count(), figures.read.requests);
        EXPECT_EQ(figures.writeLatency.count(), figures.written.requests);
        EXPECT_EQ(figures.read.requests > 0,
                  operation != Operation::kWrite && operation != Operation::kRandWrite);
        EXPECT_EQ(figures.written.requests > 0, writes(operation));
        Traffic read;
        Traffic written;
        ASSERT_EQ(figures.files.size(), 2u);
        for (const FileTraffic& file : figures.files) {
            EXPECT_GT(file.read.requests + file.written.requests, 0u);
            read += file.read;
            written += file.written;
        }
        EXPECT_EQ(read.bytes, figures.read.bytes);
        EXPECT_EQ(read.requests, figures.read.requests);
        EXPECT_EQ(written.bytes, figures.written.bytes);
        EXPECT_GT(result.tally.good, 0u);
    }
}

TEST(Workload, AWindowKeepsItsDepthUnderWay) {
    FakeApi api({64 * kBlock});
    api.polls = 20;
    size_t most = 0;
    WorkloadSpec spec = specOf(api, Operation::kRandRead, false);
    spec.threads = 1;
    spec.batchSize = 2;
    spec.window = 6;
    api.fate = [&](const TransferRequest&) {  // called with the api's lock held
        most = std::max(most, api.liveBatches);
        return Fate::kComplete;
    };
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kOk);
    EXPECT_EQ(most, 6u);
}

TEST(Workload, AStaleBlockIsSeenWhileReadsAndWritesMix) {
    FakeApi api({16 * kBlock});
    run(api, specOf(api, Operation::kWrite, true));
    WorkloadSpec spec = specOf(api, Operation::kRandRw, true);
    spec.run = 23;
    spec.batchSize = 1;
    spec.window = 4;
    api.fate = onWrites(Fate::kNothing, 2 * kBlock);
    spec.duration = 100ms;
    const RunResult result = run(api, spec);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kVerification);
}

TEST(Workload, WhatEndsInTheRampTimeIsNotMeasured) {
    FakeApi api({64 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kRead, false);
    spec.rampTime = 1h;
    std::atomic<int> reads{0};
    api.fate = [&](const TransferRequest&) {
        ++reads;
        return Fate::kComplete;
    };
    const RunResult result = run(api, spec, until([&] { return reads > 50; }));
    EXPECT_EQ(result.completedBytes, 0u);
    EXPECT_EQ(result.batches, 0u);
    EXPECT_EQ(result.figures.read.requests, 0u);
    EXPECT_EQ(result.seconds, 0);
}

TEST(Workload, FailedRequestEndsTheRunAndIsNamed) {
    for (Operation operation : {Operation::kRead, Operation::kWrite}) {
        FakeApi api({64 * kBlock});
        const bool reading = operation == Operation::kRead;
        api.fate = reading ? onReads(Fate::kFail, 9 * kBlock) : onWrites(Fate::kFail, 9 * kBlock);
        WorkloadSpec spec = specOf(api, operation, !reading);
        spec.duration = 1h;
        const RunResult result = run(api, spec);
        EXPECT_EQ(exitOf(result, spec), ExitCode::kIoError);
        EXPECT_EQ(result.failed, 1u);
        EXPECT_FALSE(result.stuck);
        EXPECT_FALSE(result.verified) << "not everything was written";
        ASSERT_EQ(result.failures.size(), 1u);
        EXPECT_EQ(result.failures[0], std::string(reading ? "read" : "write") +
                                          " of 8192 bytes at offset 73728 of file 1 (/data/1) is "
                                          "FAILED");
        EXPECT_EQ(result.completedBytes % kBlock, 0u);
        EXPECT_EQ(api.liveBatches, 0u);
        EXPECT_THAT(api.memory, IsEmpty());
    }
}

TEST(Workload, ManyFailuresAreCountedAndTheFirstNamed) {
    FakeApi api({64 * kBlock});
    api.fate = [](const TransferRequest& request) {
        return request.opcode == TransferRequest::WRITE ? Fate::kFail : Fate::kComplete;
    };
    WorkloadSpec spec = specOf(api, Operation::kWrite, false);
    spec.threads = 1;
    spec.batchSize = 64;
    const RunResult result = run(api, spec);
    EXPECT_EQ(result.failed, 64u);
    ASSERT_EQ(result.failures.size(), RunLog::kMaxLines + 1);
    EXPECT_EQ(result.failures.back(), "... and 54 more");
    EXPECT_EQ(result.completedBytes, 0u);
}

TEST(Workload, FailureWhileReadingBackIsAnIoError) {
    FakeApi api({16 * kBlock});
    api.fate = onReads(Fate::kFail, 3 * kBlock);
    const WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    const RunResult result = run(api, spec);
    EXPECT_FALSE(result.verified);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kIoError);
    ASSERT_FALSE(result.failures.empty());
    EXPECT_THAT(result.failures[0], HasSubstr("read of 8192 bytes at offset 24576"));
}

TEST(Workload, RequestThatNeverEndsEndsTheRunAndKeepsItsMemory) {
    FakeApi api({16 * kBlock});
    api.fate = onWrites(Fate::kHang, 3 * kBlock);
    WorkloadSpec spec = specOf(api, Operation::kWrite, false);
    spec.duration = 1h;
    spec.stallLimit = 50ms;
    const RunResult result = run(api, spec);
    EXPECT_TRUE(result.stuck);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kIoError);
    ASSERT_FALSE(result.failures.empty());
    EXPECT_THAT(result.failures[0], HasSubstr("offset 24576 of file 1 (/data/1) has not ended"));
    EXPECT_EQ(api.memory.size(), 1u) << "of the thread with the request; the other one's is freed";
    EXPECT_EQ(api.liveBatches, 1u);
    // The device comes back much later: the buffer must still be there.
    for (const auto& [memory, bytes] : api.memory) std::fill(memory, memory + bytes, 'x');
}

TEST(Workload, RefusedBatchEndsTheRun) {
    FakeApi api({16 * kBlock});
    const WorkloadSpec spec = specOf(api, Operation::kRead, false);
    std::unique_ptr<Workload> workload;
    ASSERT_FALSE(Workload::create(api, spec, workload).has_value());
    api.refusal = Status::InvalidArgument("segment closed");
    const RunResult result = workload->run(waitOnly);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kIoError);
    ASSERT_FALSE(result.failures.empty());
    EXPECT_THAT(result.failures[0], HasSubstr("segment closed"));
    EXPECT_EQ(result.batches, 0u);
}

TEST(Workload, UnreachableFileIsFoundBeforeTheClockRuns) {
    for (Fate fate : {Fate::kFail, Fate::kHang}) {
        FakeApi api({16 * kBlock, 16 * kBlock});
        api.fate = [=](const TransferRequest& request) {
            return request.file_id == 2 ? fate : Fate::kComplete;
        };
        WorkloadSpec spec = specOf(api, Operation::kWrite, false);
        spec.stallLimit = 50ms;
        std::unique_ptr<Workload> workload;
        const MaybeFailure failure = Workload::create(api, spec, workload);
        ASSERT_TRUE(failure.has_value());
        EXPECT_EQ(failure->code, ExitCode::kIoError);
        EXPECT_THAT(failure->message, HasSubstr("cannot reach file 2 (/data/2)"));
        EXPECT_THAT(failure->message,
                    HasSubstr(fate == Fate::kFail ? "is FAILED" : "has not ended"));
        EXPECT_EQ(api.memory.size(), fate == Fate::kFail ? 0u : 1u);
    }
}

TEST(Workload, BuffersLargerThanTheMemoryAreAUsageError) {
    FakeApi api({1});
    WorkloadSpec spec = specOf(api, Operation::kRead, false);
    spec.files[0].size = 1ULL << 60;
    spec.blockSize = 1ULL << 40;
    spec.batchSize = 1024;
    std::unique_ptr<Workload> workload;
    const MaybeFailure failure = Workload::create(api, spec, workload);
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kUsage);
    EXPECT_THAT(failure->message, HasSubstr("choose a smaller --batch_size"));
}

TEST(Workload, EngineThatRegistersNoMemory) {
    FakeApi api({16 * kBlock});
    api.registrations = 1;
    std::unique_ptr<Workload> workload;
    const MaybeFailure failure =
        Workload::create(api, specOf(api, Operation::kRead, false), workload);
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kIoError);
    EXPECT_THAT(failure->message, HasSubstr("error " + std::to_string(ERR_MEMORY)));
    EXPECT_THAT(api.memory, IsEmpty()) << "the first thread's was unregistered again";
    EXPECT_THAT(api.protests, IsEmpty());
}

TEST(Workload, StopEndsTheTransferAndStillVerifies) {
    FakeApi api({16 * kBlock});
    WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    spec.duration = 1h;
    WrittenBlocks written;
    api.fate = [&](const TransferRequest& request) {
        written.note(request);
        return Fate::kComplete;
    };
    const RunResult result = run(api, spec, until([&] { return written.count() > 0; }));
    EXPECT_TRUE(result.verified);
    EXPECT_GT(result.tally.good, 0u);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kOk);
}

TEST(Workload, StoppedVerificationIsNoSuccess) {
    FakeApi api({16 * kBlock});
    const WorkloadSpec spec = specOf(api, Operation::kWrite, true);
    api.polls = 1;
    const RunResult result = run(api, spec, [&](Workload& workload, Phase phase, int doneFd) {
        if (phase == Phase::kReadBack) workload.requestStop();
        waitOnly(workload, phase, doneFd);
    });
    EXPECT_FALSE(result.verified);
    EXPECT_EQ(exitOf(result, spec), ExitCode::kIoError);
}

}  // namespace
}  // namespace mooncake::bench
