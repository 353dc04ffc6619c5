// SPDX-License-Identifier: Apache-2.0
// The program as far as it comes without nvmet.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "child_process.h"
#include "temp_dir.h"

namespace mooncake::file_server {
namespace {

using nvmeof_generic::TempDir;
using test_support::ChildProcess;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ProgramTest : public testing::Test {
 protected:
    void expectRun(const std::vector<std::string>& arguments, int status,
                   const testing::Matcher<std::string>& output) {
        std::vector<std::string> command{FILE_SERVER_PROGRAM};
        command.insert(command.end(), arguments.begin(), arguments.end());
        ChildProcess program(command);
        EXPECT_EQ(program.wait(), status) << program.output();
        EXPECT_THAT(program.output(), output);
    }
    void configure(const std::string& rest) {
        std::ofstream(config_) << "segment = node\nmetadata = http://127.0.0.1:1/metadata\n"
                                  "traddr = 127.0.0.1\nallow_any_host = yes\n"
                               << rest;
    }

    TempDir dir_;
    const std::string config_ = dir_.path() + "/conf";
};

TEST_F(ProgramTest, TellsAboutItself) {
    expectRun({"--version"}, 0, testing::StartsWith("transfer_engine_file_server "));
    expectRun({"--help"}, 0, HasSubstr("--config="));
    expectRun({"--nonsense"}, 2, HasSubstr("--help"));
}

TEST_F(ProgramTest, ChecksAConfiguration) {
    const std::string option = "--config=" + config_;
    expectRun({"--check", option}, 2, HasSubstr("No such file"));
    configure("strict = si\n");
    expectRun({"--check", option}, 2, HasSubstr("conf': line 5: strict = 'si'"));
    expectRun({option}, 2, HasSubstr("conf': line 5: strict = 'si'"));
}

// What stays wrong until the operator changes something is not to be tried again, wherever it is
// found.
TEST_F(ProgramTest, EndsWithAStatusOfItsOwnWhereTryingAgainHelpsNobody) {
    const std::string option = "--config=" + config_;
    const auto bothSay = [&](const std::vector<std::string>& environment, const std::string& what) {
        for (const bool check : {true, false}) {
            std::vector<std::string> command{"env"};
            command.insert(command.end(), environment.begin(), environment.end());
            command.insert(command.end(), {FILE_SERVER_PROGRAM, option});
            if (check) command.push_back("--check");
            ChildProcess program(command);
            EXPECT_EQ(program.wait(), 2) << program.output();
            EXPECT_THAT(program.output(), HasSubstr(what));
        }
    };
    configure("");
    bothSay({"MC_NVMEOF_GENERIC_QUEUE_DEPTH=deep"}, "MC_NVMEOF_GENERIC_QUEUE_DEPTH");
    bothSay({"MC_NVMEOF_GENERIC_NONSENSE=1"}, "MC_NVMEOF_GENERIC_NONSENSE");
    const auto serve = [&](const std::string& access) {
        std::ofstream(config_) << "segment = node\nmetadata = http://127.0.0.1:1/metadata\n"
                                  "traddr = 127.0.0.1\n"
                               << access;
    };
    serve("allowed_hosts_file = " + dir_.path() + "/none\n");
    bothSay({}, dir_.path() + "/none");
    const std::string list = dir_.path() + "/list";
    std::ofstream(list) << "no nqn\n";
    serve("allowed_hosts_file = " + list + "\n");
    bothSay({}, "list', line 1");
    serve("allowed_hosts = nqn.2026-01.org.example:a\ndhchap_keys = " + dir_.path() + "/keys\n");
    bothSay({}, dir_.path() + "/keys");
    std::filesystem::create_directory(dir_.path() + "/keys");
    bothSay({}, "nqn.2026-01.org.example:a gets no access without its key");
}

TEST_F(ProgramTest, AReloadWithoutAServerFails) {
    expectRun({"--reload", "--control=" + dir_.path() + "/control"}, 1,
              HasSubstr("no server runs"));
}

#ifdef METADATA_NODE_PROGRAM
// What is not served, or what other nodes do not find, is not done yet.
TEST_F(ProgramTest, AReloadTellsWhatIsNotDone) {
    ChildProcess metadata({METADATA_SERVER_PROGRAM, "--host=127.0.0.1", "--port=0"});
    const std::string listening = metadata.waitForLine("http://");
    std::string files;
    const auto serve = [&](const std::string& file) {
        files += "[file " + file + "]\n";
        std::ofstream(config_) << "segment = node\nmetadata = "
                               << listening.substr(listening.find("http://"))
                               << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n"
                               << files;
    };
    serve(dir_.file("a", 8192));
    const std::string control = "--control=" + dir_.path() + "/control";
    ChildProcess server({FILE_SERVER_PROGRAM, "--config=" + config_, control},
                        {"MC_TRANSPORT_PLUGIN_PATH=" FILE_TRANSPORT});
    ASSERT_NE(server.waitForLine("serving 1 of 1 files"), "") << server.output();
    serve(dir_.file("b", 8192));
    expectRun({"--reload", control}, 0, HasSubstr("serving 2 of 2 files"));
    serve(dir_.path() + "/none");
    expectRun({"--reload", control}, 1,
              AllOf(HasSubstr("/none': No such file"), HasSubstr("serving 2 of 3 files")));
    std::ofstream(config_) << "strict = si\n";
    expectRun({"--reload", control}, 2, HasSubstr("what was served is served on"));
    metadata.signal(SIGKILL);
    metadata.wait();
    // Whatever changes, and also where nothing does by now.
    serve(dir_.file("c", 8192));
    for (int i = 0; i < 2; ++i) {
        expectRun({"--reload", control}, 1,
                  AllOf(HasSubstr("serving 3 of 4 files"), HasSubstr("metadata service")));
    }
}

// Two servers of one name: the second is a mistake, unless the operator says that it is none.
TEST_F(ProgramTest, LeavesTheNameOfAProcessThatRunsAlone) {
    ChildProcess metadata({METADATA_SERVER_PROGRAM, "--host=127.0.0.1", "--port=0"});
    const std::string listening = metadata.waitForLine("http://");
    const std::string url = listening.substr(listening.find("http://"));
    const auto configureAt = [&](const std::string& rest) {
        std::ofstream(config_) << "segment = node\nmetadata = " << url
                               << "\ntraddr = 127.0.0.1\nallow_any_host = yes\n"
                               << rest;
    };
    ChildProcess node({METADATA_NODE_PROGRAM, url, "node", "nqn.test:1", "1", "20"});
    ASSERT_EQ(node.waitForLine("ready"), "ready") << node.output();
    configureAt("");
    const std::string option = "--config=" + config_;
    const auto refusal = HasSubstr("segment 'node' is another process's, which runs");
    expectRun({option}, 1, AllOf(refusal, HasSubstr("--takeover")));
    // As far as it comes here: it takes the name, cannot serve, and leaves in order.
    expectRun({option, "--takeover"}, 1, AllOf(Not(refusal), HasSubstr("it is taken over")));
    // It may look while the one that leaves does not answer any more and has not removed its entry.
    bool is_back = false;
    for (int i = 0; i < 60 && !is_back; ++i) {
        is_back =
            node.waitForLine("is no more in the metadata store", std::chrono::seconds(1)) != "" ||
            node.output().find("which does not answer") != std::string::npos;
    }
    EXPECT_TRUE(is_back) << node.output();
    configureAt("takeover = yes\n");
    expectRun({option}, 1, AllOf(Not(refusal), HasSubstr("it is taken over")));
    // Case 46: nobody need be told that a process has crashed.
    node.signal(SIGKILL);
    node.wait();
    ChildProcess crashes({METADATA_NODE_PROGRAM, url, "node", "nqn.test:2", "1"});
    ASSERT_EQ(crashes.waitForLine("ready"), "ready") << crashes.output();
    crashes.signal(SIGKILL);
    crashes.wait();
    configureAt("");
    expectRun({option}, 1, AllOf(Not(refusal), HasSubstr("has ended; it is replaced")));
}
#endif

// Case 45: no metadata service at the start; nothing listens on port 1.
TEST_F(ProgramTest, SaysThatItCannotStart) {
    configure("");
    expectRun(
        {"--config=" + config_}, 1,
        AllOf(HasSubstr("cannot join the metadata service as 'node'"), Not(HasSubstr("serving"))));
}

}  // namespace
}  // namespace mooncake::file_server
