// SPDX-License-Identifier: Apache-2.0
#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/report_unit.h"

namespace mooncake::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string rate(uint64_t bytes, double seconds, const char* unit, unsigned precision = 2) {
    const auto found = findReportUnit(unit);
    return found ? formatThroughput(bytes, seconds, *found, precision) : "no such unit";
}

TEST(ReportUnit, BytesAndBitsByThousands) {
    EXPECT_EQ(rate(3'000'000'000, 2, "GB"), "1.50 GB/s");
    EXPECT_EQ(rate(3'000'000'000, 2, "Gb"), "12.00 Gb/s");
    EXPECT_EQ(rate(3'000'000, 2, "MB"), "1.50 MB/s");
    EXPECT_EQ(rate(3'000'000, 2, "Mb"), "12.00 Mb/s");
    EXPECT_EQ(rate(3'000, 2, "KB"), "1.50 KB/s");
    EXPECT_EQ(rate(3'000, 2, "Kb"), "12.00 Kb/s");
}

TEST(ReportUnit, BytesBy1024) {
    EXPECT_EQ(rate(3ULL << 30, 2, "GiB"), "1.50 GiB/s");
    EXPECT_EQ(rate(3ULL << 20, 2, "MiB"), "1.50 MiB/s");
    EXPECT_EQ(rate(3ULL << 10, 2, "KiB"), "1.50 KiB/s");
}

TEST(ReportUnit, Precision) {
    EXPECT_EQ(rate(1'000'000'000, 3, "GB", 0), "0 GB/s");
    EXPECT_EQ(rate(1'000'000'000, 3, "GB", 5), "0.33333 GB/s");
}

TEST(ReportUnit, NoTimeNoThroughput) {
    EXPECT_EQ(rate(1000, 0, "KB"), "0.00 KB/s");
}

TEST(ReportUnit, NamesAreExact) {
    for (const char* bad : {"", "gb", "B", "TB", "GB/s", "Gib", "GBx"}) {
        EXPECT_FALSE(findReportUnit(bad).has_value()) << bad;
    }
    EXPECT_EQ(reportUnitNames(), "GB|GiB|Gb|MB|MiB|Mb|KB|KiB|Kb");
}

Options options(Operation operation, bool verify) {
    Options result{};
    result.operation = operation;
    result.verify = verify;
    result.reportUnit = *findReportUnit("MB");
    result.reportPrecision = 2;
    return result;
}

RunResult goodRun() {
    RunResult run;
    run.completedBytes = 10'000'000;
    run.batches = 7;
    run.seconds = 2;
    run.verified = true;
    run.tally.good = 100;
    return run;
}

TEST(Report, Figures) {
    EXPECT_EQ(summaryLine(goodRun(), options(Operation::kRead, false)),
              "Test completed: duration 2.00, batch count 7, throughput 5.00 MB/s");
    EXPECT_FALSE(judge(goodRun(), options(Operation::kWrite, true)).has_value());
}

TEST(Report, FailedRequests) {
    RunResult run = goodRun();
    run.failed = 3;
    run.failures = {"write of 1 bytes is FAILED", "... and 2 more"};
    const MaybeFailure failure = judge(run, options(Operation::kWrite, false));
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kIoError);
    EXPECT_THAT(failure->message, HasSubstr("3 requests did not complete"));
    EXPECT_THAT(failure->message, HasSubstr("write of 1 bytes is FAILED"));
    EXPECT_THAT(summaryLine(run, options(Operation::kWrite, false)), HasSubstr("Test failed"));
}

TEST(Report, WrongBlocksWeighMoreThanFailedRequests) {
    RunResult run = goodRun();
    run.failed = 1;
    run.mismatches = 1;
    run.tally.wrong = 1;
    run.mismatchLines = {"the block"};
    const MaybeFailure failure = judge(run, options(Operation::kRead, true));
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kVerification);
    EXPECT_THAT(failure->message, HasSubstr("the block"));
}

TEST(Report, ReadingFilesThatNobodyWrote) {
    RunResult run = goodRun();
    run.tally = {};
    run.tally.zero = 5;
    run.tally.foreign = 6;
    run.mismatches = 6;
    const MaybeFailure failure = judge(run, options(Operation::kRead, true));
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kVerification);
    EXPECT_THAT(failure->message, HasSubstr("11 blocks"));
    EXPECT_THAT(failure->message, HasSubstr("write first with --operation=write --verify"));
}

TEST(Report, UnwrittenBlocksBesideGoodOnesAreSaidAndForgiven) {
    RunResult run = goodRun();
    run.tally.zero = 4;
    EXPECT_FALSE(judge(run, options(Operation::kRead, true)).has_value());
    EXPECT_THAT(verifyLine(run, options(Operation::kRead, true)), HasSubstr("4 never written"));
}

TEST(Report, ForeignBlocksBesideGoodOnesAreNot) {
    RunResult run = goodRun();
    run.tally.foreign = 1;
    run.mismatches = 1;
    const MaybeFailure failure = judge(run, options(Operation::kRead, true));
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kVerification);
    EXPECT_THAT(failure->message, Not(HasSubstr("write first")));
}

TEST(Report, VerificationThatDidNotEndIsNoSuccess) {
    RunResult run = goodRun();
    run.verified = false;
    const MaybeFailure failure = judge(run, options(Operation::kWrite, true));
    ASSERT_TRUE(failure.has_value());
    EXPECT_EQ(failure->code, ExitCode::kIoError);
}

TEST(Report, NothingIsSaidOfAVerificationThatDidNotBegin) {
    RunResult run = goodRun();
    run.verified = false;
    run.failed = 1;
    run.tally = {};
    EXPECT_EQ(verifyLine(run, options(Operation::kWrite, true)), "");
    const MaybeFailure failure = judge(run, options(Operation::kWrite, true));
    ASSERT_TRUE(failure.has_value());
    EXPECT_THAT(failure->message, HasSubstr("the verification is not complete"));
    EXPECT_EQ(verifyLine(goodRun(), options(Operation::kWrite, false)), "");
}

}  // namespace
}  // namespace mooncake::bench
