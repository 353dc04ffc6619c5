// SPDX-License-Identifier: Apache-2.0
// What the metadata server answers, counts and tells, inside the test.
#include "metadata_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "child_process.h"
#include "metadata_server_fixture.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using Outcome = MetadataStorage::Outcome;

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

// docs/metadata.md names them.
TEST(MetadataServerTest, HasTheLimitsThatAreDocumented) {
    using std::chrono::seconds;
    const MetadataServer::Options options;
    EXPECT_EQ(options.times.idle, seconds(1));
    EXPECT_EQ(options.times.leisure, seconds(15));
    EXPECT_EQ(options.times.header, seconds(5));
    EXPECT_EQ(options.times.body, seconds(30));
    EXPECT_EQ(options.crowd.connections, 512u);
    EXPECT_EQ(options.crowd.per_peer, 256u);
    EXPECT_EQ(options.pending_bytes, 64u << 20);
    EXPECT_EQ(options.store.value_bytes, 8u << 20);
    EXPECT_EQ(options.store.keys, 65536u);
    EXPECT_EQ(options.store.total_bytes, 256u << 20);
}

TEST(MetadataServerTest, SaysWhyItCannotListen) {
    ServerThread server;
    MetadataServer second({});
    std::string error;
    EXPECT_FALSE(second.bind("127.0.0.1", server.port(), &error));
    EXPECT_THAT(error, HasSubstr("127.0.0.1 port " + std::to_string(server.port())));
    EXPECT_THAT(error, HasSubstr("in use"));
    EXPECT_THAT(error, HasSubstr("the local one of an outgoing connection"));
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

TEST(MetadataServerTest, TakesNothingCompressed) {
    ServerThread server;
    DeadlineSocket socket = connectTo(server);
    ASSERT_TRUE(socket
                    .send("PUT /metadata?key=a HTTP/1.1\r\nContent-Encoding: gzip\r\n"
                          "Content-Length: 5\r\n\r\nvalue",
                          soon())
                    .ok());
    EXPECT_THAT(receiveAll(&socket), HasSubstr(" 415 "));
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url() + "?key=a"), 404);
}

TEST(MetadataServerTest, ServesThoseWithATokenAlone) {
    const std::string right = "0123456789abcdef-right", next = "0123456789abcdef-next";
    ServerThread server(MetadataServer::Options{}, 0, {SecretText(right), SecretText(next)});
    for (const std::string& token : {right, next}) {
        const auto storage = storageWith(server.url(), token);
        EXPECT_TRUE(storage->set("a", token).ok());
        std::string value;
        EXPECT_TRUE(storage->get("a", &value).ok());
        EXPECT_EQ(value, token);
    }
    for (const std::string& token :
         {std::string(), right + "x", right.substr(0, right.size() - 1), std::string("Bearer")}) {
        const auto storage = storageWith(server.url(), token);
        std::string value;
        for (const auto& result :
             {storage->get("a", &value), storage->set("a", std::string(3000000, 's')),
              storage->remove("a"), storage->get("absent", &value)}) {
            EXPECT_EQ(result.outcome, Outcome::kRefused) << result.error;
            EXPECT_THAT(result.error, HasSubstr("401"));
            if (token.size() > 10) {
                EXPECT_THAT(result.error, ::testing::Not(HasSubstr(token)));
            }
        }
    }
    std::string value;
    EXPECT_TRUE(storageWith(server.url(), next)->get("a", &value).ok());
    EXPECT_EQ(value, next) << "a stranger changed it";
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/keys")), 401);
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/health")), 200);
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/metrics")), 200);
    // From now on another one, also on connections that are open.
    const auto storage = storageWith(server.url(), right);
    EXPECT_TRUE(storage->get("a", &value).ok());
    server.server().setTokens({SecretText(next)});
    EXPECT_EQ(storage->get("a", &value).outcome, Outcome::kRefused);
}

TEST(MetadataServerTest, ListsItsKeys) {
    ServerThread server;
    const auto storage = storageWith(server.url(), "");
    ASSERT_TRUE(storage->set("mooncake/ram/a b\n", "12345").ok());
    ASSERT_TRUE(storage->set("mooncake/rpc_meta/a", "").ok());
    std::string text;
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/keys"), "", &text), 200);
    EXPECT_EQ(text, "mooncake/ram/a%20b%0A 5\nmooncake/rpc_meta/a 0\n");
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/keys?prefix=mooncake%2Fr&after=mooncake/rb"),
                       "", &text),
              200);
    EXPECT_EQ(text, "mooncake/rpc_meta/a 0\n");
}

// A network namespace of its own, in which the machine has one more address than the loopback's.
class SecondAddressTest : public ::testing::Test {
 protected:
    static constexpr char kSecond[] = "192.0.2.1";

    static bool inNamespace() { return std::getenv("METADATA_TEST_NAMESPACE") != nullptr; }

    // Runs this test once more, there.
    static void goThere() {
        const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
        const std::string self = std::filesystem::read_symlink("/proc/self/exe");
        test_support::ChildProcess inside(
            {"unshare", geteuid() == 0 ? "-n" : "-rn", self,
             std::string("--gtest_filter=") + test->test_suite_name() + "." + test->name()},
            {"METADATA_TEST_NAMESPACE=1"});
        EXPECT_EQ(inside.wait(), 0) << inside.output();
        EXPECT_THAT(inside.output(), HasSubstr("1 test from"));
    }
    static void takeSecondAddress() {
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ifreq up = {};
        std::strcpy(up.ifr_name, "lo");
        up.ifr_flags = IFF_UP;
        ifreq second = {};
        std::strcpy(second.ifr_name, "lo:1");
        auto& address = reinterpret_cast<sockaddr_in&>(second.ifr_addr);
        address.sin_family = AF_INET;
        inet_pton(AF_INET, kSecond, &address.sin_addr);
        EXPECT_EQ(ioctl(fd, SIOCSIFFLAGS, &up), 0) << errno;
        EXPECT_EQ(ioctl(fd, SIOCSIFADDR, &second), 0) << errno;
        close(fd);
    }
};

TEST_F(SecondAddressTest, WithoutATokenThisMachineAloneListsTheKeys) {
    if (!inNamespace()) return goThere();
    takeSecondAddress();
    const auto statusAt = [](const ServerThread& server, const std::string& host,
                             const std::string& path) {
        return statusOf(HttpMethod::kGet,
                        "http://" + host + ":" + std::to_string(server.port()) + path);
    };
    {
        const ServerThread server(MetadataServer::Options{}, 0, {}, {}, "0.0.0.0");
        EXPECT_EQ(statusAt(server, "127.0.0.1", "/keys"), 200);
        EXPECT_EQ(statusAt(server, kSecond, "/keys"), 403);
        EXPECT_EQ(statusAt(server, kSecond, "/keys?prefix=mooncake"), 403);
        EXPECT_EQ(statusAt(server, kSecond, "/health"), 200);
        EXPECT_EQ(statusAt(server, kSecond, "/metadata?key=a"), 404);
        std::string text;
        statusOf(HttpMethod::kGet, server.url("/metrics"), "", &text);
        EXPECT_THAT(text, HasSubstr("refused_total{cause=\"keys\"} 2"));
    }
    // The client's word does not count.
    const ServerThread server(MetadataServer::Options{}, 0, {}, {}, "0.0.0.0");
    DeadlineSocket socket;
    ASSERT_TRUE(socket.connect({kSecond, static_cast<uint16_t>(server.port())}, soon()).ok());
    ASSERT_TRUE(socket
                    .send("GET /keys HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\n"
                          "REMOTE_ADDR: 127.0.0.1\r\nConnection: close\r\n\r\n",
                          soon())
                    .ok());
    EXPECT_THAT(receiveAll(&socket), HasSubstr(" 403 "));
}

TEST(MetadataServerTest, CountsWhatItDoes) {
    ServerThread server({.value_bytes = 100, .keys = 1});
    const std::string url = server.url() + "?key=";
    statusOf(HttpMethod::kPut, url + "a", "12345");
    statusOf(HttpMethod::kGet, url + "a");
    statusOf(HttpMethod::kGet, url + "a");
    statusOf(HttpMethod::kGet, url + "b");
    statusOf(HttpMethod::kPut, url + "b", "x");
    statusOf(HttpMethod::kPut, url + "a", std::string(101, 'x'));
    DeadlineSocket socket = connectTo(server);
    ASSERT_TRUE(socket.send("X\"Y{ / HTTP/1.1\r\nConnection: close\r\n\r\n", soon()).ok());
    receiveAll(&socket);
    std::string text;
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/metrics"), "", &text), 200);
    for (const char* line :
         {"keys 1", "requests_total{method=\"GET\",status=\"200\"} 2",
          "requests_total{method=\"GET\",status=\"404\"} 1",
          "requests_total{method=\"PUT\",status=\"200\"} 1",
          "requests_total{method=\"PUT\",status=\"507\"} 1",
          "requests_total{method=\"PUT\",status=\"413\"} 1", "refused_total{cause=\"keys_full\"} 1",
          "refused_total{cause=\"value_size\"} 1", "refused_total{cause=\"connections\"} 0",
          "requests_total{method=\"other\""}) {
        EXPECT_THAT(text, HasSubstr("\ntransfer_engine_metadata_server_" + std::string(line)));
    }
    EXPECT_THAT(text, ::testing::Not(HasSubstr("Y{")));
}

TEST(MetadataServerTest, TellsOfEachChange) {
    std::vector<std::string> lines;
    {
        ServerThread server(MetadataServer::Options{
            .log = [&](const std::string& line) { lines.push_back(line); }});
        const auto storage = storageWith(server.url(), "");
        std::string value;
        storage->set("a\nb", "12345");
        storage->set("a\nb", "12345");  // as its keeper does it, again and again
        storage->get("a\nb", &value);
        storage->set("a\nb", "123456");
        storage->remove("a\nb");
        storage->remove("a\nb");
    }
    EXPECT_THAT(lines, ::testing::ElementsAre("127.0.0.1 stored a\\x0ab, 5 bytes",
                                              "127.0.0.1 stored a\\x0ab, 6 bytes",
                                              "127.0.0.1 removed a\\x0ab"));
}

TEST(PacedLogTest, WritesNoMoreThanSomebodyCanRead) {
    std::vector<std::string> lines;
    PacedLog log([&](const std::string& line) { lines.push_back(line); }, 3, 2);
    const PacedLog::Clock::time_point begin{std::chrono::seconds(100)};
    for (int i = 0; i < 10; ++i) log.write(std::to_string(i), begin);
    EXPECT_THAT(lines, ::testing::ElementsAre("0", "1", "2"));
    log.write("later", begin + std::chrono::seconds(1));
    EXPECT_THAT(lines, ::testing::ElementsAre("0", "1", "2", "7 lines were left out", "later"));
    lines.clear();
    for (int i = 0; i < 10; ++i) log.write("x", begin + std::chrono::hours(1));
    EXPECT_EQ(lines.size(), 3u);
    EXPECT_EQ(logText(std::string(201, 'a')), std::string(200, 'a') + "...");
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

}  // namespace
}  // namespace mooncake::test
