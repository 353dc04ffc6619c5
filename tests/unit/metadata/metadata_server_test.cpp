// SPDX-License-Identifier: Apache-2.0
// The metadata server, inside the test and as the program that users start.
#include "metadata_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "bounded_pool.h"
#include "child_process.h"
#include "deadline_socket.h"
#include "http_storage.h"
#include "server_thread.h"
#include "transfer_metadata.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using Outcome = MetadataStorage::Outcome;

long statusOf(HttpMethod method, const std::string& url, const std::string& body = "",
              std::string* answer = nullptr) {
    HttpResponse response;
    HttpClient client{StoreLimits()};
    const Status status =
        client.request(method, url, body, std::chrono::milliseconds(10000), &response);
    EXPECT_TRUE(status.ok()) << status;
    if (answer != nullptr) *answer = response.body;
    return response.status;
}

TEST(MetadataServerTest, AnswersAsTheNodesExpect) {
    ServerThread server;
    const std::string url = server.url() + "?key=mooncake%2Fram%2Fa";
    std::string body;
    EXPECT_EQ(statusOf(HttpMethod::kGet, url), 404);
    EXPECT_EQ(statusOf(HttpMethod::kDelete, url), 404);
    EXPECT_EQ(statusOf(HttpMethod::kPut, url, "{\"x\": 1}"), 200);
    EXPECT_EQ(statusOf(HttpMethod::kGet, url, "", &body), 200);
    EXPECT_EQ(body, "{\"x\": 1}");
    EXPECT_EQ(statusOf(HttpMethod::kPut, url, "{\"x\": 2}"), 200);
    EXPECT_EQ(statusOf(HttpMethod::kGet, url, "", &body), 200);
    EXPECT_EQ(body, "{\"x\": 2}");
    EXPECT_EQ(statusOf(HttpMethod::kDelete, url), 200);
    EXPECT_EQ(statusOf(HttpMethod::kGet, url), 404);
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/health")), 200);
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/elsewhere")), 404);
}

// RFC 9110, 13.1: what has changed since the client saw it stays as it is.
TEST(MetadataServerTest, ChangesOnlyWhatIsAsTheClientSawIt) {
    ServerThread server;
    const std::string url = server.url() + "?key=a";
    HttpClient client{StoreLimits()};
    const auto ask = [&](HttpMethod method, const std::string& body, const std::string& condition) {
        HttpResponse response;
        const Status status = client.request(method, url, body, std::chrono::milliseconds(10000),
                                             &response, "", condition);
        EXPECT_TRUE(status.ok()) << status;
        return response;
    };
    const HttpResponse first = ask(HttpMethod::kPut, "1", "If-None-Match: *");
    EXPECT_EQ(first.status, 200);
    ASSERT_THAT(first.etag, ::testing::MatchesRegex("\".+\"")) << "a strong tag";
    EXPECT_EQ(ask(HttpMethod::kPut, "2", "If-None-Match: *").status, 412);
    EXPECT_EQ(ask(HttpMethod::kGet, "", "").body, "1");
    EXPECT_EQ(ask(HttpMethod::kGet, "", "").etag, first.etag);
    const HttpResponse second = ask(HttpMethod::kPut, "2", "If-Match: " + first.etag);
    EXPECT_EQ(second.status, 200);
    EXPECT_NE(second.etag, first.etag);
    EXPECT_EQ(ask(HttpMethod::kPut, "3", "If-Match: " + first.etag).status, 412);
    EXPECT_EQ(ask(HttpMethod::kDelete, "", "If-Match: " + first.etag).status, 412);
    EXPECT_EQ(ask(HttpMethod::kGet, "", "").body, "2");
    EXPECT_EQ(ask(HttpMethod::kDelete, "", "If-Match: " + second.etag).status, 200);
    EXPECT_EQ(ask(HttpMethod::kGet, "", "").status, 404);
    EXPECT_EQ(ask(HttpMethod::kPut, "4", "If-Match: " + second.etag).status, 412);
}

TEST(MetadataServerTest, RefusesARequestWithoutAKey) {
    ServerThread server;
    for (const char* query : {"", "?", "?key=", "?yek=a", "?key"}) {
        EXPECT_EQ(statusOf(HttpMethod::kGet, server.url() + query), 400) << query;
        EXPECT_EQ(statusOf(HttpMethod::kPut, server.url() + query, "x"), 400) << query;
        EXPECT_EQ(statusOf(HttpMethod::kDelete, server.url() + query), 400) << query;
    }
}

TEST(MetadataServerTest, KeepsToItsLimits) {
    ServerThread server({.key_bytes = 10, .value_bytes = 1000, .keys = 2});
    const std::string key = server.url() + "?key=";
    EXPECT_EQ(statusOf(HttpMethod::kPut, key + "a", std::string(1000, 'x')), 200);
    EXPECT_EQ(statusOf(HttpMethod::kPut, key + "a", std::string(1001, 'x')), 413);
    EXPECT_EQ(statusOf(HttpMethod::kPut, key + std::string(11, 'k'), "x"), 400);
    EXPECT_EQ(statusOf(HttpMethod::kPut, key + "b", ""), 200);
    EXPECT_EQ(statusOf(HttpMethod::kPut, key + "c", "x"), 507);
    std::string body;
    EXPECT_EQ(statusOf(HttpMethod::kGet, key + "a", "", &body), 200);
    EXPECT_EQ(body.size(), 1000u) << "a refused value changed what is stored";
}

TEST(MetadataServerTest, SaysWhyItCannotListen) {
    ServerThread server;
    MetadataServer second({});
    std::string error;
    EXPECT_FALSE(second.bind("127.0.0.1", server.port(), &error));
    EXPECT_THAT(error, HasSubstr("127.0.0.1 port " + std::to_string(server.port())));
    EXPECT_THAT(error, HasSubstr("in use"));
    EXPECT_FALSE(second.bind("no.such.host.invalid", 0, &error));
    EXPECT_THAT(error, HasSubstr("no.such.host.invalid"));
}

TEST(MetadataServerTest, StopBeforeServeIsNotLost) {
    MetadataServer server({});
    std::string error;
    ASSERT_TRUE(server.bind("127.0.0.1", 0, &error)) << error;
    server.stop();
    EXPECT_TRUE(server.serve());
    MetadataServer second({});
    EXPECT_TRUE(second.bind("127.0.0.1", server.port(), &error)) << "the port is taken: " << error;
    second.stop();
    EXPECT_TRUE(second.serve());
}

// Case 45: more clients that say nothing, or stop in the middle, than there are threads.
TEST(MetadataServerTest, SilentClientsHoldUpNobodyForLong) {
    ServerThread server;
    std::vector<DeadlineSocket> silent(100);
    for (size_t i = 0; i < silent.size(); ++i) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        ASSERT_TRUE(
            silent[i].connect({"127.0.0.1", static_cast<uint16_t>(server.port())}, deadline).ok());
        if (i % 2 == 0) {
            ASSERT_TRUE(silent[i].send("PUT /metadata?key=a HTTP/1.1\r\n", deadline).ok());
        }
    }
    HttpClient client{StoreLimits()};
    HttpResponse response;
    const Status status = client.request(HttpMethod::kGet, server.url("/health"), "",
                                         std::chrono::milliseconds(60000), &response);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.status, 200);
}

// Case 45: more clients than there are threads send a byte now and then, in the header or in the
// body.
TEST(MetadataServerTest, DribblingClientsHoldUpNobodyForLong) {
    constexpr std::chrono::milliseconds kTime(300), kLong(60000);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    for (const bool inHeader : {true, false}) {
        ServerThread server({}, 0,
                            {.header = inHeader ? kTime : kLong, .body = inHeader ? kLong : kTime});
        std::vector<DeadlineSocket> slow(70);
        for (DeadlineSocket& socket : slow) {
            ASSERT_TRUE(
                socket.connect({"127.0.0.1", static_cast<uint16_t>(server.port())}, deadline).ok());
            const std::string line = "PUT /metadata?key=a HTTP/1.1\r\nContent-Length: 1000000\r\n";
            ASSERT_TRUE(socket.send(line + (inHeader ? "X: " : "\r\n"), deadline).ok());
        }
        std::promise<void> answered;
        std::thread dribble([&, end = answered.get_future()] {
            do {
                for (DeadlineSocket& socket : slow) (void)socket.send("x", deadline);
            } while (end.wait_for(kTime / 10) != std::future_status::ready);
        });
        HttpClient client{StoreLimits()};
        HttpResponse response;
        const Status status = client.request(HttpMethod::kGet, server.url("/health"), "",
                                             std::chrono::milliseconds(20000), &response);
        answered.set_value();
        dribble.join();
        EXPECT_TRUE(status.ok()) << inHeader << status;
        EXPECT_EQ(response.status, 200);
    }
}

// Several requests that come in one piece are several requests.
TEST(MetadataServerTest, AnswersWhatIsSentAhead) {
    ServerThread server;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    DeadlineSocket socket;
    ASSERT_TRUE(socket.connect({"127.0.0.1", static_cast<uint16_t>(server.port())}, deadline).ok());
    ASSERT_TRUE(socket
                    .send("PUT /metadata?key=a HTTP/1.1\r\nContent-Length: 5\r\n\r\nvalue"
                          "GET /metadata?key=a HTTP/1.1\r\nConnection: close\r\n\r\n",
                          deadline)
                    .ok());
    std::string answers;
    while (socket.receive(4096, deadline, &answers).ok()) {
    }
    EXPECT_THAT(answers, ::testing::EndsWith("\r\n\r\nvalue"));
}

// Whoever is one too many waits outside until another has gone.
TEST(BoundedPoolTest, HoldsNoMoreThanItMay) {
    BoundedPool pool(1, 2);
    std::promise<void> go, handed;
    const std::shared_future<void> gone = go.get_future().share();
    std::atomic<int> served = 0;
    for (int i = 0; i < 2; ++i) pool.enqueue([&] { gone.wait(), ++served; });
    std::thread third([&] {
        pool.enqueue([&] { ++served; });
        EXPECT_GE(served, 1);
        handed.set_value();
    });
    auto done = handed.get_future();
    EXPECT_EQ(done.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
    go.set_value();
    third.join();
    pool.shutdown();
    EXPECT_EQ(served, 3);
}

// The program in a process of its own.
class ServerProgram : public test_support::ChildProcess {
 public:
    explicit ServerProgram(std::vector<std::string> arguments)
        : ChildProcess(withProgram(std::move(arguments))) {}

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
    for (const char* flag : {"--port=65536", "--port=-1", "--port=http", "--no_such_flag=1",
                             "argument", "--max_keys=many"}) {
        ServerProgram program({"--host=127.0.0.1", "--port=0", flag});
        EXPECT_EQ(program.wait(), 1) << flag;
    }
}

}  // namespace
}  // namespace mooncake::test
