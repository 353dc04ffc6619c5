// SPDX-License-Identifier: Apache-2.0
#include "stats_text.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "comma_locale.h"
#include "transport/nvmeof_generic_transport/common/replace_file.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

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
    segment.paths = {{"192.0.2.10:4420", "tcp", "nvme0", "live", "round-robin", 1, 0, 2, 4096, 512},
                     {"[2001:db8::10]:4420 from eth1", "rdma", "", "down", "", 3, 4, 5, 0, 0}};
    stats.segments.push_back(segment);
    stats.submits = {11, 22};
    return stats;
}

TEST(StatsText, SaysWhatWasCounted) {
    const std::string text = statsText(example());
    const std::string file = R"({segment="node-1",id="7",file="2")";
    for (
        const std::string& line : {
            std::string(R"(segment_state{segment="node-1",id="7",state="ready"} 1)"),
            std::string(R"(connects_total{segment="node-1",id="7"} 3)"),
            std::string(
                R"(path_live{segment="node-1",id="7",path="192.0.2.10:4420",transport="tcp"} 1)"),
            std::string(
                R"(path_policy{segment="node-1",id="7",path="192.0.2.10:4420",transport="tcp",policy="round-robin"} 1)"),
            std::string(
                R"(path_read_bytes{segment="node-1",id="7",path="192.0.2.10:4420",transport="tcp"} 4096)"),
            std::string(
                R"(path_written_bytes{segment="node-1",id="7",path="192.0.2.10:4420",transport="tcp"} 512)"),
            std::string(
                R"(path_live{segment="node-1",id="7",path="[2001:db8::10]:4420 from eth1",transport="rdma"} 0)"),
            std::string(
                R"(path_connects_total{segment="node-1",id="7",path="[2001:db8::10]:4420 from eth1",transport="rdma"} 3)"),
            std::string(
                R"(path_losses_total{segment="node-1",id="7",path="[2001:db8::10]:4420 from eth1",transport="rdma"} 4)"),
            std::string(
                R"(path_failed_attempts_total{segment="node-1",id="7",path="[2001:db8::10]:4420 from eth1",transport="rdma"} 5)"),
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

TargetStats exampleTarget() {
    TargetStats target;
    target.segment = "node-9";
    target.address = "192.0.2.10:4420";
    target.files = 3;
    target.bytes = 12288;
    target.withdrawn = {{"gone", 1}, {"resized", 2}};
    target.allowedHosts = 4;
    target.tcpConnections = 10;
    target.controllers = {{"nqn.2014-08.org:a", 2}};
    target.published = true;
    target.publications = 5;
    target.publicationFailures = 6;
    target.sincePublication = 1.5;
    return target;
}

TEST(StatsText, SaysWhatATargetServes) {
    TransportStats stats;
    stats.target = exampleTarget();
    const std::string text = statsText(stats, "server");
    const std::string ours = R"({process="server",segment="node-9",address="192.0.2.10:4420")";
    for (const std::string& line :
         {"files" + ours + "} 3", "bytes" + ours + "} 12288",
          "withdrawn_files_total" + ours + R"(,reason="gone"} 1)",
          "withdrawn_files_total" + ours + R"(,reason="resized"} 2)", "any_host" + ours + "} 0",
          "allowed_hosts" + ours + "} 4", "tcp_connections" + ours + "} 10",
          "controllers" + ours + R"(,host="nqn.2014-08.org:a"} 2)",
          "record_published" + ours + "} 1", "publications_total" + ours + "} 5",
          "publication_failures_total" + ours + "} 6",
          "publication_age_seconds" + ours + "} 1.500000"}) {
        EXPECT_THAT(text, HasSubstr("\nnvmeof_generic_target_" + line + "\n"));
    }
    stats.target->tcpConnections.reset();
    stats.target->controllers.reset();
    EXPECT_EQ(statsText(stats).find("target_tcp_connections"), std::string::npos);
    EXPECT_EQ(statsText(stats).find("target_controllers"), std::string::npos);
    EXPECT_EQ(statsText(example()).find("target_"), std::string::npos);
}

std::set<std::string> seriesOf(const std::string& text) {
    std::set<std::string> series;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("#")) series.insert(line.substr(0, line.rfind(' ')));
    }
    return series;
}

// The node exporter refuses files of which two have a series in common.
// The collector takes "0,000008" for an error of the whole file.
TEST(StatsText, IsTheSameInEveryLocale) {
    const std::string plain = statsText(example());
    const test_support::CommaLocale locale;
    ASSERT_TRUE(locale.complete());
    EXPECT_EQ(statsText(example()), plain);
}

TEST(StatsText, TwoProcessesHaveNoSeriesInCommon) {
    TransportStats stats = example();
    stats.target = exampleTarget();
    const auto one = seriesOf(statsText(stats, "one")), two = seriesOf(statsText(stats, "two"));
    EXPECT_GT(one.size(), 20u);
    for (const std::string& series : one) EXPECT_FALSE(two.contains(series)) << series;
}

// A label that changes later makes another series.
TEST(StatsText, ASegmentAppearsWithItsName) {
    TransportStats stats = example();
    stats.segments[0].name = "";
    EXPECT_EQ(statsText(stats).find("segment=\"\""), std::string::npos);
    EXPECT_EQ(seriesOf(statsText(stats)).size(), 2u);
}

// The grammar of the format, and each family once.
TEST(StatsText, IsWellFormedWhateverTheNames) {
    TransportStats stats = example();
    stats.segments.push_back(stats.segments[0]);
    stats.segments[1].segmentId = 8;
    stats.segments[1].name = std::string("a\"b\\c\nd\0e\xff} 1", 14) + std::string(100000, 'x');
    stats.target = exampleTarget();
    stats.target->segment = "a\"b\nc";
    std::istringstream lines(statsText(stats, "p\"r\\o\ncess"));
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
    // The service has a umask that hides its files, and counters are for the node exporter.
    const mode_t before = umask(0077);
    EXPECT_TRUE(replaceFile(path, "third").ok());
    umask(before);
    struct stat info;
    ASSERT_EQ(stat(path.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777u, 0644u);
    std::filesystem::remove_all(folder);
    const auto failed = replaceFile(path, "third");
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.error().code, ENOENT);
    EXPECT_THAT(failed.error().message, HasSubstr(path));
}

// A folder stands where the file is to be.
TEST(StatsFile, LeavesNothingBehindAFailure) {
    std::string folder = "/tmp/stats.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    std::filesystem::create_directories(folder + "/stats/full");
    EXPECT_FALSE(replaceFile(folder + "/stats", "text").ok());
    const std::filesystem::directory_iterator all(folder);
    EXPECT_EQ(std::distance(begin(all), end(all)), 1);
    std::filesystem::remove_all(folder);
}

// Killed by the kernel while it writes.
TEST(StatsFile, AProcessThatIsKilledLeavesNothingBehind) {
    std::string folder = "/tmp/stats.XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    if (!UniqueFd(open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644)).valid()) {
        std::filesystem::remove(folder);
        GTEST_SKIP() << "/tmp has no files without a name";
    }
    const pid_t child = fork();
    if (child == 0) {
        const rlimit none{0, 0}, few{16, 16};
        setrlimit(RLIMIT_CORE, &none);
        setrlimit(RLIMIT_FSIZE, &few);
        static_cast<void>(replaceFile(folder + "/stats", std::string(64, 'x')));
        _exit(0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ) << status;
    EXPECT_TRUE(std::filesystem::is_empty(folder));
    std::filesystem::remove_all(folder);
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
