// SPDX-License-Identifier: Apache-2.0
#include "bench/figures_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <json/json.h>

#include <sstream>

#include "bench/report_unit.h"
#include "comma_locale.h"

namespace mooncake::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class FiguresReportTest : public ::testing::Test {
 protected:
    FiguresReportTest() {
        options_.operation = Operation::kRandRw;
        options_.reportUnit = *findReportUnit("MB");
        options_.reportPrecision = 2;
        options_.shapes = {{4096, 1, 32, 2}};

        run_.shape = options_.shapes[0];
        run_.seconds = 2;
        run_.batches = 3000;
        run_.completedBytes = 3000 * 4096;
        run_.cpu = {0.25, 0.75};
        run_.submits = {400, 1000};
        run_.figures.read = {2000 * 4096, 2000};
        run_.figures.written = {1000 * 4096, 1000};
        run_.figures.readLatency.record(50'000, 1999);
        run_.figures.readLatency.record(9'000'000);
        run_.figures.writeLatency.record(70'000, 1000);
        run_.figures.files = {{{2000 * 4096, 2000}, {}}, {{}, {1000 * 4096, 1000}}};
    }

    std::string text() {
        FiguresReport report(options_, files_);
        std::string all = report.add(run_);
        if (options_.shapes.size() > 1) all += report.add(run_);
        return all + report.end();
    }

    Options options_{};
    std::vector<WorkFile> files_ = {{1, "/data/a", 1 << 20}, {2, "/data/b \"x\", y", 1 << 20}};
    RunResult run_;
};

TEST_F(FiguresReportTest, OneRunBeginsWithTheLineThatUsersKnow) {
    const std::string all = text();
    EXPECT_THAT(all, StartsWith("Test completed: duration 2.00, batch count 3000, throughput "
                                "6.14 MB/s\n"));
    EXPECT_THAT(all, HasSubstr("read: 1000 requests/s, latency p50 50."));
    EXPECT_THAT(all, HasSubstr("max 9000.0 us"));
    EXPECT_THAT(all, HasSubstr("write: 500 requests/s"));
    EXPECT_THAT(all, HasSubstr("0.25 s user, 0.75 s system, 87.381 s per GiB"));
    EXPECT_THAT(all, HasSubstr("submit calls: 400, mean batch 2.50 I/Os\n"));
    EXPECT_THAT(all, HasSubstr("file 1 (/data/a): 4.10 MB/s, 1000 requests/s"));
}

// "Since the begin" of what the kernel counts from when it made a controller.
TEST_F(FiguresReportTest, EachPathIsShownWithWhatItCarried) {
    const std::vector<PathStats> before = {
        {"192.0.2.10:4420", "tcp", "nvme3", "live", "numa", 1, 0, 0, 1000, 500},
        {"198.51.100.10:4420", "tcp", "nvme4", "live", "numa", 1, 0, 0, 9000, 9000},
        {"203.0.113.10:4420", "rdma", "", "down", "", 0, 0, 7, 0, 0}};
    auto after = before;
    after[0].policy = "queue-depth";
    after[0].bytesRead = 5000;
    after[0].bytesWritten = 700;
    after[1].connects = 2;  // another controller
    after[1].bytesRead = 300;
    after[1].bytesWritten = 9200;
    run_.paths = pathTraffic(before, after);
    const std::string all = text();
    EXPECT_THAT(all, HasSubstr("path 192.0.2.10:4420: tcp, live, nvme3, queue-depth, 4000 bytes "
                               "read, 200 written\n"));
    EXPECT_THAT(all, HasSubstr("path 198.51.100.10:4420: tcp, live, nvme4, numa, 300 bytes read, "
                               "9200 written\n"));
    EXPECT_THAT(all, HasSubstr("path 203.0.113.10:4420: rdma, down, 0 bytes read, 0 written\n"));
    options_.format = OutputFormat::kJson;
    Json::Value document;
    ASSERT_TRUE(Json::Reader().parse(text(), document));
    const Json::Value& paths = document["jobs"][0]["paths"];
    ASSERT_EQ(paths.size(), 3u);
    EXPECT_EQ(paths[0]["bytes_read"].asUInt64(), 4000u);
    EXPECT_EQ(paths[0]["policy"].asString(), "queue-depth");
    EXPECT_EQ(paths[1]["bytes_written"].asUInt64(), 9200u);
    EXPECT_EQ(paths[2]["state"].asString(), "down");
}

// A transport that does not count has none, which is not the same as 0.
TEST_F(FiguresReportTest, WithoutSubmitsThereIsNoNumberOfThem) {
    run_.submits.reset();
    EXPECT_THAT(text(), Not(HasSubstr("submit calls")));
    options_.format = OutputFormat::kCsv;
    EXPECT_THAT(text(), HasSubstr(",87.3813,,\n"));
    options_.format = OutputFormat::kJson;
    Json::Value document;
    std::istringstream(text()) >> document;
    EXPECT_FALSE(document["jobs"][0].isMember("submit_calls"));
    EXPECT_FALSE(document["jobs"][0].isMember("mean_batch"));
    options_.format = OutputFormat::kTable;
    options_.shapes.push_back(options_.shapes[0]);
    EXPECT_THAT(text(), HasSubstr("    87.381                      \n"));
}

TEST_F(FiguresReportTest, SeveralRunsAreATable) {
    options_.shapes.push_back(options_.shapes[0]);
    std::istringstream lines(text());
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_THAT(all[0], HasSubstr("p99.9 us"));
    EXPECT_THAT(all[1], HasSubstr("6.14 MB/s         1500"));
    EXPECT_THAT(all[1], ::testing::EndsWith("       400       2.50"));
    EXPECT_EQ(all[1], all[2]);
    EXPECT_EQ(all[0].size(), all[1].size());
}

TEST_F(FiguresReportTest, JsonHasFiosNames) {
    options_.format = OutputFormat::kJson;
    Json::Value document;
    std::istringstream stream(text());
    ASSERT_NO_THROW(stream >> document);
    const Json::Value& job = document["jobs"][0];
    EXPECT_EQ(job["job options"]["rw"], "randrw");
    EXPECT_EQ(job["job options"]["iodepth"], 32);
    EXPECT_EQ(job["job options"]["numjobs"], 2);
    EXPECT_EQ(job["read"]["io_bytes"], 2000 * 4096);
    EXPECT_EQ(job["read"]["bw_bytes"], 1000 * 4096);
    EXPECT_EQ(job["read"]["iops"], 1000.0);
    EXPECT_EQ(job["write"]["total_ios"], 1000);
    EXPECT_EQ(job["read"]["clat_ns"]["max"], 9'000'000);
    EXPECT_NEAR(job["read"]["clat_ns"]["percentile"]["50.000000"].asDouble(), 50'000, 800);
    EXPECT_NEAR(job["read"]["clat_ns"]["percentile"]["99.990000"].asDouble(), 9'000'000, 150'000);
    EXPECT_NEAR(job["sys_cpu"].asDouble(), 37.5, 0.1);
    EXPECT_EQ(job["submit_calls"], 400);
    EXPECT_EQ(job["mean_batch"], 2.5);
    EXPECT_EQ(job["error"], 0);
    EXPECT_EQ(job["files"][1]["filename"], "/data/b \"x\", y");
    EXPECT_EQ(job["files"][1]["write"]["total_ios"], 1000);
}

TEST_F(FiguresReportTest, JsonOfARunThatFailedSaysSo) {
    options_.format = OutputFormat::kJson;
    run_.failed = 2;
    Json::Value document;
    std::istringstream(text()) >> document;
    EXPECT_EQ(document["jobs"][0]["error"], 1);
    EXPECT_EQ(document["jobs"][0]["total_err"], 2);
}

TEST_F(FiguresReportTest, IsTheSameInEveryLocale) {
    for (const OutputFormat one : {OutputFormat::kTable, OutputFormat::kJson, OutputFormat::kCsv}) {
        options_.format = one;
        const std::string plain = text();
        const test_support::CommaLocale locale;
        ASSERT_TRUE(locale.complete());
        EXPECT_EQ(text(), plain);
    }
}

TEST_F(FiguresReportTest, CsvHasARowForEachDirectionAndFile) {
    options_.format = OutputFormat::kCsv;
    std::istringstream lines(text());
    std::vector<std::string> all;
    for (std::string line; std::getline(lines, line);) all.push_back(line);
    ASSERT_EQ(all.size(), 5u);
    EXPECT_THAT(all[0], StartsWith("operation,direction,file,block_size,"));
    EXPECT_THAT(all[1],
                StartsWith("randrw,read,,4096,1,32,2,2.000000,8192000,2000,4096000,1000.00,"));
    EXPECT_THAT(all[1], ::testing::EndsWith(",400,2.50"));
    EXPECT_THAT(all[2], StartsWith("randrw,write,,4096,1,32,2,"));
    EXPECT_THAT(all[3], StartsWith("randrw,read,\"/data/a\",4096,"));
    EXPECT_THAT(all[4], StartsWith("randrw,write,\"/data/b \"\"x\"\", y\",4096,"));
    const auto fields = [](const std::string& line) {
        return std::count(line.begin(), line.end(), ',');
    };
    for (size_t row = 1; row < 4; ++row) EXPECT_EQ(fields(all[row]), fields(all[0]));
}

}  // namespace
}  // namespace mooncake::bench
