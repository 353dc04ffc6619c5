// SPDX-License-Identifier: Apache-2.0
// The metadata server as the program that users start.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "certificates.h"
#include "child_process.h"
#include "metadata_storage.h"
#include "transfer_metadata.h"
#include "variable.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// The program in a process of its own.
class ServerProgram : public test_support::ChildProcess {
 public:
    explicit ServerProgram(std::vector<std::string> arguments,
                           std::vector<std::string> environment = {})
        : ChildProcess(withProgram(std::move(arguments)), std::move(environment)) {}

    std::string url() {
        constexpr char kPrefix[] = "listening on ";
        const std::string line = waitForLine(kPrefix);
        EXPECT_THAT(line, ::testing::StartsWith(kPrefix)) << output();
        return line.substr(std::min(line.size(), sizeof(kPrefix) - 1));
    }
    int end(int number) {
        signal(number);
        return wait();
    }

 private:
    static std::vector<std::string> withProgram(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), METADATA_SERVER_PROGRAM);
        return arguments;
    }
};

TEST(MetadataServerProgramTest, ServesNodesUntilItIsAskedToStop) {
    for (const int signal : {SIGTERM, SIGINT}) {
        ServerProgram program({"--host=127.0.0.1", "--port=0"});
        TransferMetadata metadata(program.url());
        TransferMetadata::RpcMetaDesc rpc{"10.0.0.1", 4321, -1};
        EXPECT_EQ(metadata.addRpcMetaEntry("node", rpc), 0);
        TransferMetadata::RpcMetaDesc found;
        EXPECT_EQ(metadata.getRpcMetaEntry("node", found), 0);
        EXPECT_EQ(found.rpc_port, 4321);
        TransferMetadata::SegmentDesc desc;
        desc.name = "node";
        desc.protocol = "nvmeof_generic";
        desc.nvmeof_generic_trid = {"tcp", "ipv4", "127.0.0.1", "4420", "nqn.x"};
        desc.file_buffers = {{1, "/a", 4096, 0}};
        EXPECT_EQ(metadata.updateSegmentDesc("node", desc), 0);
        const auto again = metadata.getSegmentDescByName("node");
        ASSERT_TRUE(again);
        EXPECT_EQ(again->nvmeof_generic_trid.subnqn, "nqn.x");
        EXPECT_EQ(again->file_buffers.size(), 1u);
        // The node's connection is still open, and does not matter.
        EXPECT_EQ(program.end(signal), 0);
    }
}

// Case 45: the server dies and comes back under the same address.
TEST(MetadataServerProgramTest, NodesSurviveItsDeath) {
    auto program =
        std::make_unique<ServerProgram>(std::vector<std::string>{"--host=127.0.0.1", "--port=0"});
    const std::string url = program->url();
    const std::string port = url.substr(url.rfind(':') + 1, url.rfind('/') - url.rfind(':') - 1);
    TransferMetadata metadata(url);
    TransferMetadata::SegmentDesc desc;
    desc.name = "node";
    desc.protocol = "p";
    ASSERT_EQ(metadata.updateSegmentDesc("node", desc), 0);
    const auto id = metadata.getSegmentID("node");
    ASSERT_EQ(id, 1u);

    program->end(SIGKILL);
    EXPECT_EQ(metadata.getSegmentDescByID(id, true), nullptr);
    EXPECT_NE(metadata.getSegmentDescByID(id), nullptr) << "what is open stays open";
    EXPECT_EQ(metadata.updateSegmentDesc("node", desc), ERR_METADATA);

    program = std::make_unique<ServerProgram>(
        std::vector<std::string>{"--host=127.0.0.1", "--port=" + port});
    EXPECT_EQ(program->url(), url);
    EXPECT_EQ(metadata.getSegmentDescByID(id, true), nullptr) << "it forgot everything";
    EXPECT_EQ(metadata.updateSegmentDesc("node", desc), 0);
    EXPECT_NE(metadata.getSegmentDescByID(id, true), nullptr);

    // Meanwhile the port is taken.
    ServerProgram second({"--host=127.0.0.1", "--port=" + port});
    EXPECT_EQ(second.wait(), 1);
    EXPECT_THAT(second.output(), HasSubstr("in use"));
}

// Case 50
TEST(MetadataServerProgramTest, RefusesMalformedFlags) {
    const Folder folder;
    const std::string open = "--token_file=" + folder.write("open", "0123456789abcdef", 0644);
    const std::string brief = "--token_file=" + folder.write("short", "0123456789");
    for (const std::string& flag :
         {std::string("--port=65536"), std::string("--port=-1"), std::string("--port=http"),
          std::string("--no_such_flag=1"), std::string("argument"), std::string("--max_keys=many"),
          std::string("--max_connections=1"), std::string("--token_file=/no/such/file"), open,
          brief, std::string("--tls_cert=/dev/null"), std::string("--tls_client_ca=/dev/null"),
          std::string("--tls_cert=/dev/null --tls_key=/dev/null")}) {
        std::vector<std::string> arguments = {"--host=127.0.0.1", "--port=0"};
        std::istringstream words(flag);
        for (std::string word; words >> word;) arguments.push_back(word);
        ServerProgram program(arguments);
        EXPECT_EQ(program.wait(), 2) << flag;
        EXPECT_NE(program.output(), "") << flag;
    }
    for (const char* flag : {"--help", "--version"}) {
        ServerProgram program({flag});
        EXPECT_EQ(program.wait(), 0) << flag;
    }
}

TEST(MetadataServerProgramTest, ServesThisMachineAloneUnlessToldOtherwise) {
    ServerProgram program({"--port=0"});
    EXPECT_THAT(program.url(), ::testing::StartsWith("http://127.0.0.1:"));
    EXPECT_THAT(program.output(), ::testing::Not(HasSubstr("warning")));
    ServerProgram open({"--host=0.0.0.0", "--port=0"});
    open.url();
    EXPECT_THAT(open.output(), HasSubstr("can read and replace every record"));
}

// A node and a server that are told of the same files, and what happens when the files change.
TEST(MetadataServerProgramTest, ChangesItsTokenWhileItRuns) {
    const Certificates made;
    made.write("token", "0123456789abcdef-first\n");
    made.write("metadata_token", "# of the service\n0123456789abcdef-first\n");
    for (const char* name : {"cert", "key"}) {
        std::filesystem::copy(made.at(name == std::string("cert") ? "server.pem" : "server.key"),
                              made.at("tls_" + std::string(name)));
    }
    // As systemd gives them to a service.
    ServerProgram program({"--host=127.0.0.1", "--port=0"},
                          {"CREDENTIALS_DIRECTORY=" + made.at("")});
    const std::string url = program.url();
    EXPECT_THAT(url, ::testing::StartsWith("https://127.0.0.1:"));
    const Variable ca("MC_METADATA_CACERT", made.at("ca.pem"));
    const Variable token("MC_METADATA_TOKEN_FILE", made.at("token"));
    std::shared_ptr<MetadataStorage> storage;
    ASSERT_TRUE(createMetadataStorage(url, StoreLimits(), &storage).ok());
    EXPECT_TRUE(storage->set("a", "1").ok());
    made.write("metadata_token", "0123456789abcdef-second\n0123456789abcdef-first\n");
    program.signal(SIGHUP);
    EXPECT_NE(program.waitForLine("read again"), "");
    EXPECT_TRUE(storage->set("a", "2").ok()) << "both are valid now";
    made.write("token", "0123456789abcdef-second\n");
    made.write("metadata_token", "0123456789abcdef-second\n");
    program.signal(SIGHUP);
    EXPECT_NE(program.waitForLine("read again"), "");
    const auto result = storage->set("a", "3");
    EXPECT_TRUE(result.ok()) << "the node reads its file again: " << result.error;
    made.write("metadata_token", "short\n");
    program.signal(SIGHUP);
    EXPECT_NE(program.waitForLine("nothing is changed"), "");
    EXPECT_TRUE(storage->set("a", "4").ok());
    EXPECT_THAT(program.output(), AllOf(HasSubstr("127.0.0.1 stored a, 1 bytes"),
                                        ::testing::Not(HasSubstr("0123456789abcdef"))));
}

}  // namespace
}  // namespace mooncake::test
