// SPDX-License-Identifier: Apache-2.0
// The bench as a program: exit statuses, output and signals, on a transport that needs no kernel.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <json/json.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "bench/block_pattern.h"
#include "child_process.h"
#include "metadata_server.h"

namespace mooncake::bench {
namespace {

using namespace std::chrono_literals;
using test_support::ChildProcess;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kFileSize = 1 << 20;

class Program : public ::testing::Test {
 protected:
    Program() : server_({}) {
        std::string error;
        EXPECT_TRUE(server_.bind("127.0.0.1", 0, &error)) << error;
        url_ = "http://127.0.0.1:" + std::to_string(server_.port()) + "/metadata";
        serving_ = std::thread([this] { server_.serve(); });
    }
    ~Program() override {
        server_.stop();
        serving_.join();
        if (!folder_.empty()) std::filesystem::remove_all(folder_);
    }
    void SetUp() override {
        char name[] = "/tmp/bench_program_XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder_ = name;
    }

    std::string makeFile(const std::string& name, uint64_t size = kFileSize) const {
        std::string path = folder_ + "/" + name;
        std::ofstream(path).close();
        std::filesystem::resize_file(path, size);
        return path;
    }

    std::vector<std::string> arguments(const std::vector<std::string>& more) const {
        std::vector<std::string> all = {BENCH_PROGRAM, "--metadata_server=" + url_,
                                        "--batch_size=8", "--duration=1"};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    std::unique_ptr<ChildProcess> start(const std::vector<std::string>& more,
                                        const std::string& fault = "") const {
        return std::make_unique<ChildProcess>(
            arguments(more), std::vector<std::string>{"MC_TRANSPORT_PLUGIN_PATH=" FILE_TRANSPORT,
                                                      "FILE_TRANSPORT_FAULT=" + fault});
    }
    // Runs it to its end; the output is in output_.
    int run(const std::vector<std::string>& more, const std::string& fault = "") {
        const auto process = start(more, fault);
        const int status = process->wait();
        output_ = process->output();
        return status;
    }

    static std::string content(const std::string& path) {
        std::ifstream file(path);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }

    MetadataServer server_;
    std::thread serving_;
    std::string url_;
    std::string folder_;
    std::string output_;
};

TEST_F(Program, UsageErrorsNameTheFlagAndExitWith1) {
    const std::string file = makeFile("a");
    const struct {
        std::vector<std::string> flags;
        std::string words;
    } cases[] = {
        {{"--mode=server"}, "--mode=server: must be target, initiator or loopback"},
        {{"--segment_id="}, "--segment_id=: must be given"},
        {{"--segment_id=x", "--threads=many"}, "--threads=many: must be 1 to 1024"},
        {{"--duration=long"}, "duration"},
        {{"--no_such_flag=1"}, "no_such_flag"},
        {{"--mode=target", "--files=" + file, "another"}, "'another' is not a flag"},
        {{"--mode=target", "--files=" + folder_ + "/none"}, "No such file or directory"},
        {{"--mode=loopback", "--files=" + file, "--block_size=1048577"}, "--block_size=1048577"},
        {{"--mode=loopback", "--files=" + file, "--threads=17"}, "--threads=17"},
    };
    for (const auto& each : cases) {
        EXPECT_EQ(run(each.flags), 1) << output_;
        EXPECT_THAT(output_, HasSubstr(each.words));
    }
}

// Figures that are lost are no success.
TEST_F(Program, AnOutputThatCannotBeWrittenIsAnError) {
    const std::string file = makeFile("a");
    for (const std::string mode : {"loopback", "target"}) {
        for (const char* format : {"table", "json"}) {
            std::string command;
            for (const std::string& word :
                 arguments({"--mode=" + mode, "--files=" + file, "--block_size=4096",
                            std::string("--output_format=") + format})) {
                command += word + " ";
            }
            ChildProcess process({"sh", "-c", command + "> /dev/full"},
                                 {"MC_TRANSPORT_PLUGIN_PATH=" FILE_TRANSPORT});
            EXPECT_EQ(process.wait(), 2) << mode << process.output();
            EXPECT_THAT(process.output(), HasSubstr("cannot write to standard output"));
        }
    }
}

TEST_F(Program, HelpListsTheFlagsAndExitsWith0) {
    EXPECT_EQ(run({"--help"}), 0);
    for (const char* flag : {"local_server_name",
                             "metadata_server",
                             "mode",
                             "operation",
                             "segment_id",
                             "batch_size",
                             "block_size",
                             "duration",
                             "threads",
                             "report_unit",
                             "report_precision",
                             "trtype",
                             "adrfam",
                             "traddr",
                             "trsvcid",
                             "files",
                             "verify",
                             "verify_seed",
                             "iodepth",
                             "iodepth_batch",
                             "ramp_time",
                             "rwmixread",
                             "output_format"}) {
        EXPECT_THAT(output_, HasSubstr("-" + std::string(flag) + " ("));
    }
    EXPECT_THAT(output_, Not(HasSubstr("logtostderr"))) << "other libraries' flags are noise here";
}

// Case 45
TEST_F(Program, MetadataServerThatIsDownExitsWith2) {
    EXPECT_EQ(run({"--mode=loopback", "--files=" + makeFile("a"),
                   "--metadata_server=http://127.0.0.1:1/metadata"}),
              2);
    EXPECT_THAT(output_, HasSubstr("http://127.0.0.1:1/metadata"));
}

// Case 49
TEST_F(Program, MissingPluginExitsWith2) {
    ChildProcess process(arguments({"--mode=loopback", "--files=" + makeFile("a")}),
                         {"MC_TRANSPORT_PLUGIN_PATH=" + folder_ + "/none.so"});
    EXPECT_EQ(process.wait(), 2);
    EXPECT_THAT(process.output(), HasSubstr("cannot install the transport nvmeof_generic"));
}

TEST_F(Program, TargetAndInitiatorInTwoProcesses) {
    const std::string a = makeFile("a"), b = makeFile("b", 2 * kFileSize + 100);
    const auto target =
        start({"--mode=target", "--local_server_name=target", "--files=" + a + " " + b});
    EXPECT_EQ(target->waitForLine("target ready"), "target ready: segment target, file 1 " + a +
                                                       " 1048576 bytes, file 2 " + b +
                                                       " 2097152 bytes");
    const std::vector<std::string> common = {"--local_server_name=me", "--segment_id=target",
                                             "--threads=3", "--verify"};
    auto flags = common;
    flags.push_back("--operation=write");
    EXPECT_EQ(run(flags), 0) << output_;
    EXPECT_THAT(output_, ContainsRegex("Test completed: duration [0-9]+\\.[0-9][0-9], batch count "
                                       "[1-9][0-9]*, throughput [0-9]+\\.[0-9][0-9] GB/s\n"));
    EXPECT_THAT(output_, ContainsRegex("Verification: [1-9][0-9]* blocks of 4096 bytes as written, "
                                       "0 not\n"));
    EXPECT_EQ(run(common), 0) << output_;
    EXPECT_THAT(output_, HasSubstr("Test completed"));

    // An independent look at the file.
    const std::string data = content(b);
    const BlockTag tag = {2, 8192, 1, 0, 0};
    EXPECT_EQ(checkBlock(data.data() + 8192, tag, Expect::kAnyVersion).state, BlockState::kGood);

    // The initiator's side of flags that do not fit the target's files.
    EXPECT_EQ(run({"--local_server_name=me", "--segment_id=target", "--block_size=1048577"}), 1);
    EXPECT_THAT(output_, HasSubstr("'" + a + "' of 1048576 bytes"));

    target->signal(SIGTERM);
    EXPECT_EQ(target->wait(), 0) << target->output();
}

TEST_F(Program, UnknownSegmentExitsWith2) {
    EXPECT_EQ(run({"--local_server_name=me", "--segment_id=nobody"}), 2);
    EXPECT_THAT(output_, HasSubstr("cannot open segment 'nobody'"));
}

TEST_F(Program, SegmentWithoutFilesExitsWith2) {
    const auto target =
        start({"--mode=target", "--local_server_name=target", "--files=" + makeFile("a")});
    ASSERT_FALSE(target->waitForLine("target ready").empty()) << target->output();
    const auto empty =
        start({"--local_server_name=empty", "--segment_id=target", "--duration=3600"});
    // An initiator publishes a segment, too, but no files. Ask until it has.
    const auto limit = std::chrono::steady_clock::now() + 60s;
    do {
        EXPECT_EQ(run({"--local_server_name=me", "--segment_id=empty"}), 2) << output_;
    } while (output_.find("has no files") == std::string::npos &&
             std::chrono::steady_clock::now() < limit);
    EXPECT_THAT(output_, HasSubstr("segment 'empty' (protocol 'nvmeof_generic') has no files"));
}

TEST_F(Program, Loopback) {
    const std::string file = makeFile("a");
    const std::vector<std::string> flags = {"--mode=loopback", "--files=" + file,
                                            "--report_unit=Mb", "--report_precision=0"};
    EXPECT_EQ(run(flags), 0) << output_;
    EXPECT_THAT(output_, ContainsRegex("throughput [0-9]+ Mb/s\n"));
    EXPECT_EQ(content(file), std::string(kFileSize, '\0')) << "a read changes nothing";
    auto writing = flags;
    writing.insert(writing.end(), {"--operation=write", "--verify", "--verify_seed=9"});
    EXPECT_EQ(run(writing), 0) << output_;
    const BlockTag tag = {1, 4096, 9, 0, 0};
    EXPECT_EQ(checkBlock(content(file).data() + 4096, tag, Expect::kAnyVersion).state,
              BlockState::kGood);
}

TEST_F(Program, ListsInAWindowGiveJsonAlone) {
    EXPECT_EQ(run({"--mode=loopback", "--files=" + makeFile("a") + " " + makeFile("b"),
                   "--operation=randrw", "--verify", "--block_size=4K,16K", "--iodepth=8",
                   "--output_format=json"}),
              0)
        << output_;
    const size_t begin = output_.find("{\n");
    ASSERT_NE(begin, std::string::npos) << output_;
    Json::Value document;
    std::istringstream stream(output_.substr(begin, output_.rfind('}') + 1 - begin));
    ASSERT_NO_THROW(stream >> document) << output_;
    ASSERT_EQ(document["jobs"].size(), 2u);
    EXPECT_EQ(document["jobs"][1]["job options"]["bs"], 16384);
    EXPECT_GT(document["jobs"][1]["read"]["total_ios"].asUInt64(), 0u);
    EXPECT_GT(document["jobs"][1]["verified_blocks"].asUInt64(), 0u);
    EXPECT_EQ(document["jobs"][1]["files"].size(), 2u);
    EXPECT_GT(document["jobs"][1]["submit_calls"].asUInt64(), 0u) << "asked of the plugin";
    EXPECT_EQ(document["jobs"][1]["mean_batch"], 1.0);
}

TEST_F(Program, FailedRequestExitsWith2) {
    EXPECT_EQ(run({"--mode=loopback", "--operation=write", "--files=" + makeFile("a")}, "fail"), 2);
    EXPECT_THAT(output_, HasSubstr("Test failed: duration"));
    EXPECT_THAT(output_, HasSubstr("write of 65536 bytes at offset 0 of file 1 ("));
}

TEST_F(Program, LostWriteExitsWith3) {
    EXPECT_EQ(run({"--mode=loopback", "--operation=write", "--verify", "--files=" + makeFile("a")},
                  "lose"),
              3);
    EXPECT_THAT(output_, HasSubstr("16 blocks are not what was written:"));
    EXPECT_THAT(output_, HasSubstr("expected file 1, offset 0, seed 1, run "));
    EXPECT_THAT(output_, HasSubstr("found zeros (never written)"));
}

TEST_F(Program, VerifyingWhatNobodyWroteExitsWith3) {
    EXPECT_EQ(run({"--mode=loopback", "--verify", "--files=" + makeFile("a")}), 3);
    EXPECT_THAT(output_, HasSubstr("write first with --operation=write --verify"));
}

TEST_F(Program, TargetThatCannotRegisterAllFilesExitsWith2) {
    const std::string b = makeFile("b");
    EXPECT_EQ(run({"--mode=target", "--files=" + makeFile("a") + " " + b}, "refuse"), 2);
    EXPECT_THAT(output_, HasSubstr("cannot register file '" + b + "' with 1048576 bytes"));
    EXPECT_THAT(output_, Not(HasSubstr("target ready")));
}

TEST_F(Program, SignalEndsARunWithItsFigures) {
    const std::string file = makeFile("a");
    for (int signal : {SIGINT, SIGTERM}) {
        std::ofstream(file).close();
        std::filesystem::resize_file(file, kFileSize);
        const auto process =
            start({"--mode=loopback", "--operation=write", "--files=" + file, "--duration=3600"});
        const auto limit = std::chrono::steady_clock::now() + 60s;
        const std::string zeros(kFileSize, '\0');
        while (content(file) == zeros && std::chrono::steady_clock::now() < limit) {
            poll(nullptr, 0, 5);
        }
        process->signal(signal);
        EXPECT_EQ(process->wait(), 0) << process->output();
        EXPECT_THAT(process->output(), HasSubstr("Test completed: duration"));
    }
}

TEST_F(Program, ProgressEachSecondOnATerminalOnly) {
    std::vector<std::string> all = arguments(
        {"--mode=loopback", "--files=" + makeFile("a"), "--duration=3600", "--report_unit=MiB"});
    int terminal = -1;
    const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
    ASSERT_GE(child, 0);
    if (child == 0) {
        setenv("MC_TRANSPORT_PLUGIN_PATH", FILE_TRANSPORT, 1);
        std::vector<char*> argv;
        argv.reserve(all.size() + 1);
        for (std::string& argument : all) argv.push_back(argument.data());
        argv.push_back(nullptr);
        execv(argv[0], argv.data());
        _exit(127);
    }
    std::string shown;
    char buffer[4096];
    ssize_t got = 0;
    bool stopped = false;
    while ((got = read(terminal, buffer, sizeof(buffer))) > 0) {
        shown.append(buffer, static_cast<size_t>(got));
        const size_t first = shown.find(" of 3600 s  now ");
        if (!stopped && first != std::string::npos &&
            shown.find(" of 3600 s  now ", first + 1) != std::string::npos) {
            kill(child, SIGINT);
            stopped = true;
        }
    }
    close(terminal);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << shown;
    EXPECT_TRUE(stopped);
    EXPECT_THAT(shown, ContainsRegex("now [0-9]+\\.[0-9][0-9] MiB/s  average [0-9]+"));

    const auto process = start({"--mode=loopback", "--files=" + makeFile("a")});
    EXPECT_EQ(process->wait(), 0);
    EXPECT_THAT(process->output(), Not(HasSubstr("average")));
}

}  // namespace
}  // namespace mooncake::bench
