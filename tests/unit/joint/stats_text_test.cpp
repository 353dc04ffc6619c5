// SPDX-License-Identifier: Apache-2.0
#include "stats_text.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace mooncake::nvmeof_generic {
namespace {

using testing::HasSubstr;

TransportStats example() {
    TransportStats stats;
    SegmentStats segment;
    segment.segmentId = 7;
    segment.name = "node-1";
    segment.state = SegmentStats::State::kReady;
    segment.connects = 3;
    FileStats file;
    file.fileId = 2;
    file.reads.bytes = 8192;
    file.reads.latency.buckets[0] = 1;
    file.reads.latency.buckets[2] = 4;
    file.reads.latency.buckets.back() = 1;
    file.reads.latency.totalMicroseconds = 1500000;
    file.errors[EIO] = 5;
    file.retries = 6;
    segment.files.push_back(file);
    stats.segments.push_back(segment);
    stats.submits = {11, 22};
    return stats;
}

TEST(StatsText, SaysWhatWasCounted) {
    const std::string text = statsText(example());
    const std::string file = R"({segment="node-1",id="7",file="2")";
    for (const std::string& line : {
             std::string(R"(segment_state{segment="node-1",id="7",state="ready"} 1)"),
             std::string(R"(connects_total{segment="node-1",id="7"} 3)"),
             std::string("submit_calls_total 11"),
             std::string("submitted_ios_total 22"),
             "bytes_total" + file + R"(,operation="read"} 8192)",
             "errors_total" + file + R"(,errno="EIO"} 5)",
             "retries_total" + file + "} 6",
             "request_seconds_bucket" + file + R"(,operation="read",le="0.000008"} 1)",
             "request_seconds_bucket" + file + R"(,operation="read",le="0.000016"} 1)",
             "request_seconds_bucket" + file + R"(,operation="read",le="0.000032"} 5)",
             "request_seconds_bucket" + file + R"(,operation="read",le="+Inf"} 6)",
             "request_seconds_sum" + file + R"(,operation="read"} 1.500000)",
             "request_seconds_count" + file + R"(,operation="read"} 6)",
         }) {
        EXPECT_THAT(text, HasSubstr("\nnvmeof_generic_" + line + "\n"));
    }
}

// name{label="text",...} value, or name value
bool isSample(const std::string& line) {
    size_t at = 0;
    const auto word = [&] {
        const size_t start = at;
        while (at < line.size() && (line[at] == '_' || (line[at] >= 'a' && line[at] <= 'z'))) ++at;
        return at > start;
    };
    const auto is = [&](const std::string& text) {
        const bool found = line.compare(at, text.size(), text) == 0;
        if (found) at += text.size();
        return found;
    };
    const auto isValue = [&] {
        return at < line.size() && line.find_first_not_of("0123456789.", at) == std::string::npos;
    };
    if (!word()) return false;
    if (is(" ")) return isValue();
    if (!is("{")) return false;
    do {
        if (!word() || !is("=\"")) return false;
        for (; at < line.size() && line[at] != '"'; ++at) {
            // Only these two may follow a backslash.
            if (line[at] == '\\' && line[++at] != '"' && line[at] != '\\') return false;
            if (line[at] < ' ' || line[at] > '~') return false;
        }
        if (!is("\"")) return false;
    } while (is(","));
    return is("} ") && isValue();
}

// The grammar of the format, and each family once.
TEST(StatsText, IsWellFormedWhateverTheNames) {
    TransportStats stats = example();
    stats.segments.push_back(stats.segments[0]);
    stats.segments[1].segmentId = 8;
    stats.segments[1].name = std::string("a\"b\\c\nd\0e\xff} 1", 14) + std::string(100000, 'x');
    std::istringstream lines(statsText(stats));
    int samples = 0;
    std::set<std::string> families;
    for (std::string line; std::getline(lines, line);) {
        EXPECT_LT(line.size(), 1000u);
        if (line.starts_with("# ")) {
            EXPECT_TRUE(families.insert(line).second) << line;
            continue;
        }
        ++samples;
        EXPECT_TRUE(isSample(line)) << line;
    }
    EXPECT_GT(samples, 20);
}

TEST(StatsFile, IsReplacedAsAWhole) {
    std::string folder = "/tmp/stats.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/stats";
    for (const std::string text : {"first", "second"}) {
        // Whoever has the old one open keeps it.
        std::ifstream before(path);
        const auto replaced = replaceFile(path, text);
        ASSERT_TRUE(replaced.ok()) << replaced.error().message;
        std::string found;
        std::ifstream(path) >> found;
        EXPECT_EQ(found, text);
        if (text == "second") {
            before >> found;
            EXPECT_EQ(found, "first");
        }
    }
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
    std::filesystem::remove_all(folder);
    const auto failed = replaceFile(path, "third");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ENOENT);
    EXPECT_THAT(failed.error().message, HasSubstr(path));
}

TEST(StatsFile, TakesTheNameAndFollowsNoLink) {
    std::string folder = "/tmp/stats.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/stats", victim = folder + "/victim";
    std::ofstream(victim) << "mine";
    std::filesystem::create_symlink(victim, path);
    // What others would have had to guess before.
    for (int i = 0; i < 100; ++i) {
        std::filesystem::create_symlink(
            victim, path + "." + std::to_string(getpid()) + "." + std::to_string(i));
    }
    ASSERT_TRUE(replaceFile(path, "counted").ok());
    std::string found;
    std::ifstream(victim) >> found;
    EXPECT_EQ(found, "mine");
    EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::symlink_status(path)));
    std::ifstream(path) >> found;
    EXPECT_EQ(found, "counted");
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
