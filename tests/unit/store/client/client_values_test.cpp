// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "key_pattern.h"
#include "metrics_text.h"
#include "node_name.h"
#include "object_entry.h"
#include "report.h"

namespace mooncake::store {
namespace {

using ::testing::HasSubstr;

TEST(NodeNameTest, MachinesAreToldByTheirHosts) {
    EXPECT_EQ(hostOf("10.0.0.1:12345"), "10.0.0.1");
    EXPECT_EQ(hostOf("10.0.0.1"), "10.0.0.1");
    EXPECT_EQ(hostOf("[fd00::1]:12345"), "fd00::1");
    EXPECT_EQ(hostOf("fd00::1"), "fd00::1");
    EXPECT_EQ(nodeOf("node7:12345"), "node7");
    // Each machine has these: there the port tells processes apart.
    EXPECT_EQ(nodeOf("127.0.0.1:12345"), "127.0.0.1:12345");
    EXPECT_EQ(nodeOf("localhost:1"), "localhost:1");
    EXPECT_EQ(nodeOf("[::1]:1"), "[::1]:1");
}

TEST(KeyPatternTest, IsFoundAnywhereInAKey) {
    const auto pattern = KeyPattern::compile("b[0-9]+(?=/)");
    ASSERT_TRUE(pattern);
    EXPECT_TRUE(pattern->isIn("a/b12/c"));
    EXPECT_TRUE(
        pattern->isIn(std::string("\0\xff"
                                  "b1/",
                                  5)));
    EXPECT_FALSE(pattern->isIn("a/b12"));
    EXPECT_EQ(KeyPattern::compile("(").error().failure, Failure::kInvalid);
}

// The keys are others'.
TEST(KeyPatternTest, NoKeyTakesAllOfTheStackOrForEver) {
    const auto deep = KeyPattern::compile("((((a|b)|c)|d)|e)*$");
    ASSERT_TRUE(deep);
    EXPECT_TRUE(deep->isIn(std::string(kMaxKeyBytes, 'a')));
    const auto twofold = KeyPattern::compile("(a+)+$");
    ASSERT_TRUE(twofold);
    EXPECT_FALSE(twofold->isIn(std::string(60, 'a') + "!"));
    // Cannot be kept from that.
    EXPECT_EQ(KeyPattern::compile("(a)\\1").error().failure, Failure::kInvalid);
}

TEST(MetricsTextTest, ANumberForEachThing) {
    ClientStatistics numbers;
    numbers.gets = 7;
    numbers.misses_evicted = 3;
    const std::string text = metricsText(numbers);
    EXPECT_THAT(text, HasSubstr("# TYPE mooncake_store_gets_total counter\n"
                                "mooncake_store_gets_total 7\n"));
    EXPECT_THAT(text, HasSubstr("mooncake_store_misses_total{cause=\"evicted\"} 3\n"));
    EXPECT_EQ(text.find("# TYPE mooncake_store_misses_total"),
              text.rfind("# TYPE mooncake_store_misses_total"));
}

TEST(MetricsTextTest, DurationsAreAHistogram) {
    Durations durations;
    durations.add(std::chrono::microseconds(1));
    durations.add(std::chrono::microseconds(3));
    durations.add(std::chrono::hours(100));
    std::string text;
    appendDurations(&text, "x_seconds", "X.", durations);
    EXPECT_THAT(text, HasSubstr("x_seconds_bucket{le=\"0.000001\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("x_seconds_bucket{le=\"0.000002\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("x_seconds_bucket{le=\"0.000004\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("x_seconds_bucket{le=\"+Inf\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("x_seconds_sum 360000.000004\n"));
    EXPECT_THAT(text, HasSubstr("x_seconds_count 3\n"));
}

TEST(MetricsTextTest, AFileHasItsNodeAndPath) {
    FileMap files;
    KnownFile& file = files[4];
    file.info.number = 4;
    file.info.mount = Mount{1, "node", "node:1", 1, "/a \"b\""};
    file.geometry = {4 << 20, 10};
    file.load = std::make_shared<FileLoad>();
    file.load->clean = 3;
    std::string text;
    appendFiles(&text, files);
    EXPECT_THAT(text, HasSubstr("mooncake_store_file_clean_bytes{file=\"4\",node=\"node\","
                                "path=\"/a \\\"b\\\"\"} 12582912\n"));
    EXPECT_THAT(text, HasSubstr("mooncake_store_file_served{file=\"4\""));
    EXPECT_THAT(summaryText({}, files), HasSubstr("files served 1, 12 of 40 MiB clean"));
}

TEST(ReportTest, RemembersTheLastMessageOfTheThread) {
    EXPECT_EQ(report({Failure::kNoSpace, "full"}).value(), ErrorCode::NO_AVAILABLE_HANDLE);
    EXPECT_EQ(report({Failure::kFull, "full"}).value(), ErrorCode::NO_AVAILABLE_HANDLE);
    EXPECT_EQ(lastError(), "full");
    EXPECT_EQ(codeOf(Failure::kTimeout), ErrorCode::RPC_TIMEOUT);
    EXPECT_EQ(codeOf(Failure::kLeaseLost), ErrorCode::LEASE_EXPIRED);
}

TEST(ReplicaTest, IsTextForALog) {
    ReplicateConfig config;
    config.replica_num = 2;
    config.preferred_segment = "a";
    config.preferred_segments = {"b", "c"};
    std::ostringstream out;
    out << config << ReplicaStatus::FAILED;
    EXPECT_EQ(out.str(),
              "{replica_num: 2, with_soft_pin: false, with_hard_pin: false, preferred_segment: a, "
              "preferred_segments: [b, c]}FAILED");
}

}  // namespace
}  // namespace mooncake::store
