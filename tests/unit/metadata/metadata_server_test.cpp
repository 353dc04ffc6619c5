// SPDX-License-Identifier: Apache-2.0
// The metadata server, inside the test and as the program that users start.
#include "metadata_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <future>
#include <sstream>
#include <thread>
#include <vector>

#include "certificates.h"
#include "child_process.h"
#include "connection_threads.h"
#include "deadline_socket.h"
#include "http_storage.h"
#include "server_thread.h"
#include "transfer_metadata.h"
#include "variable.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
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

using std::chrono::milliseconds;

DeadlineSocket::Time soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(60);
}

DeadlineSocket connectTo(const ServerThread& server) {
    DeadlineSocket socket;
    EXPECT_TRUE(socket.connect({"127.0.0.1", static_cast<uint16_t>(server.port())}, soon()).ok());
    return socket;
}

// What comes until the other side closes.
std::string receiveAll(DeadlineSocket* socket) {
    std::string bytes;
    Status status;
    while (status.ok()) status = socket->receive(65536, soon(), &bytes);
    EXPECT_EQ(status.message().find("timed out"), std::string_view::npos) << "it is still open";
    return bytes;
}

constexpr char kBegunHeader[] = "PUT /metadata?key=a HTTP/1.1\r\nX: ";
constexpr char kBegunBody[] = "PUT /metadata?key=a HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n";
constexpr char kWhole[] = "GET /health HTTP/1.1\r\n\r\n";

// No time limit that a test reaches.
MetadataServer::Options patient() {
    constexpr std::chrono::hours kLong(1);
    return {.times = {.idle = kLong, .header = kLong, .body = kLong}};
}

// Case 45: who says nothing, stops in the middle, or has its answer and stays makes room for those
// who ask, where there are more than the server takes.
TEST(MetadataServerTest, SilentClientsMakeRoom) {
    for (const std::string& said :
         {std::string(), std::string(kBegunHeader), std::string(kBegunBody), std::string(kWhole)}) {
        MetadataServer::Options options = patient();
        options.crowd = {.connections = 8, .per_peer = 8, .grace = milliseconds(30)};
        ServerThread server(options);
        std::vector<DeadlineSocket> silent;
        for (int i = 0; i < 30; ++i) {
            silent.push_back(connectTo(server));
            (void)silent.back().send(said, soon());
        }
        EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/health")), 200) << said;
        EXPECT_EQ(statusOf(HttpMethod::kPut, server.url() + "?key=a", "value"), 200) << said;
        // Which of them are closed, the order of their answers decides.
        const auto isClosed = [](DeadlineSocket& one) {
            std::string bytes;
            Status status;
            while (status.ok()) {
                status =
                    one.receive(65536, std::chrono::steady_clock::now() + milliseconds(5), &bytes);
            }
            return status.message().find("timed out") == std::string_view::npos;
        };
        EXPECT_TRUE(std::any_of(silent.begin(), silent.end(), isClosed)) << said;
        std::string metrics;
        statusOf(HttpMethod::kGet, server.url("/metrics"), "", &metrics);
        constexpr char kRefused[] = "refused_total{cause=\"connections\"} ";
        const size_t at = metrics.find(kRefused);
        ASSERT_NE(at, std::string::npos) << metrics;
        EXPECT_GE(std::stoi(metrics.substr(at + sizeof(kRefused) - 1)), 1) << said;
    }
}

// Case 45: each of the times ends a connection by itself.
TEST(MetadataServerTest, AClientHasATimeLimit) {
    using Times = MetadataServer::Times;
    const struct {
        const char* said;
        milliseconds Times::*time;
    } cases[] = {{"", &Times::idle},
                 {kBegunHeader, &Times::header},
                 {kBegunBody, &Times::body},
                 {kWhole, &Times::idle}};
    for (const auto& one : cases) {
        MetadataServer::Options options = patient();
        options.times.*one.time = milliseconds(50);
        // What comes before must not be what ends it.
        if (one.time != &Times::idle) options.times.idle = std::chrono::hours(1);
        ServerThread server(options);
        DeadlineSocket socket = connectTo(server);
        ASSERT_TRUE(socket.send(one.said, soon()).ok());
        receiveAll(&socket);
    }
}

// Case 45: a byte now and then does not make the time longer.
TEST(MetadataServerTest, DribblingMakesNoTimeLonger) {
    for (const char* said : {kBegunHeader, kBegunBody}) {
        MetadataServer::Options options = patient();
        (said == kBegunBody ? options.times.body : options.times.header) = milliseconds(300);
        ServerThread server(options);
        DeadlineSocket socket = connectTo(server);
        ASSERT_TRUE(socket.send(said, soon()).ok());
        Status status;
        const auto begin = std::chrono::steady_clock::now();
        while (status.ok() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(30)) {
            std::this_thread::sleep_for(milliseconds(10));
            status = socket.send("x", soon());
        }
        EXPECT_FALSE(status.ok()) << "it is still open";
    }
}

// Case 45: hundreds of clients that send a byte of a body now and then, and come back when they are
// cut off, do not keep a node from its answer.
TEST(MetadataServerTest, DribblingClientsHoldUpNobody) {
    ServerThread server;
    std::atomic<bool> over{false};
    std::promise<void> connected;
    std::thread dribble([&] {
        std::vector<DeadlineSocket> slow(400);
        for (bool first = true; !over; first = false) {
            for (DeadlineSocket& one : slow) {
                if (one.connected() && one.send("x", soon()).ok()) continue;
                DeadlineSocket fresh;
                if (!fresh.connect({"127.0.0.1", static_cast<uint16_t>(server.port())}, soon())
                         .ok()) {
                    continue;
                }
                (void)fresh.send(kBegunBody, soon());
                one = std::move(fresh);
            }
            if (first) connected.set_value();
        }
    });
    connected.get_future().wait();
    auto storage = std::shared_ptr<MetadataStorage>();
    ASSERT_TRUE(createMetadataStorage(server.url(), StoreLimits(), &storage).ok());
    for (int i = 0; i < 5; ++i) {
        const auto set = storage->set("mooncake/ram/a", "value");
        EXPECT_TRUE(set.ok()) << set.error;
        std::string value;
        const auto got = storage->get("mooncake/ram/a", &value);
        EXPECT_TRUE(got.ok()) << got.error;
    }
    over = true;
    dribble.join();
}

// Values that are on their way count, too: who has sent most goes first.
TEST(MetadataServerTest, HoldsSoManyUnfinishedBytesAndNoMore) {
    MetadataServer::Options options = patient();
    options.pending_bytes = 200000;
    ServerThread server(options);
    std::vector<DeadlineSocket> greedy;
    for (int i = 0; i < 10; ++i) {
        greedy.push_back(connectTo(server));
        (void)greedy.back().send(kBegunBody + std::string(50000, 'x'), soon());
    }
    const auto pending = [&] {
        std::string text;
        statusOf(HttpMethod::kGet, server.url("/metrics"), "", &text);
        const std::string name = "\ntransfer_engine_metadata_server_pending_bytes ";
        const size_t at = text.find(name);
        return at == std::string::npos ? size_t{0} : std::stoul(text.substr(at + name.size()));
    };
    // Four of them fit.
    while (pending() < 150000) std::this_thread::sleep_for(milliseconds(1));
    EXPECT_LE(pending(), 200000u);
    EXPECT_EQ(statusOf(HttpMethod::kPut, server.url() + "?key=b", std::string(10000, 'b')), 200);
    int cut = 0;
    for (DeadlineSocket& one : greedy) {
        std::string bytes;
        const Status status =
            one.receive(1, std::chrono::steady_clock::now() + milliseconds(1), &bytes);
        if (status.message().find("timed out") == std::string_view::npos) ++cut;
    }
    EXPECT_GE(cut, 6);
}

TEST(MetadataServerTest, AHeaderHasAnEnd) {
    ServerThread server(patient());
    DeadlineSocket socket = connectTo(server);
    Status status;
    for (int i = 0; i < 100 && status.ok(); ++i) {
        status = socket.send((i == 0 ? "GET /health HTTP/1.1\r\n" : "") + std::string("X: ") +
                                 std::string(4000, 'x') + "\r\n",
                             soon());
    }
    EXPECT_THAT(receiveAll(&socket), ::testing::Not(HasSubstr("200")));
    EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/health")), 200);
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

// The nodes' own program, as it is started: with a token, or with another.
std::shared_ptr<MetadataStorage> storageWith(const std::string& url, const std::string& token,
                                             const HttpTls& tls = {}) {
    std::unique_ptr<HttpStorage> storage;
    std::shared_ptr<BearerToken> bearer;
    if (!token.empty()) bearer = std::make_shared<BearerToken>(SecretText(token), "");
    EXPECT_TRUE(HttpStorage::create(url, tls, bearer, StoreLimits(), &storage).ok());
    return storage;
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

TEST(MetadataServerTest, SpeaksTls) {
    const Certificates made;
    const HttpTls trusts{.ca = made.at("ca.pem"), .cert = "", .key = ""};
    const auto failure = [](const ServerThread& server, const HttpTls& tls) {
        const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/metadata";
        std::string value;
        const auto result = storageWith(url, "", tls)->get("a", &value);
        return result.outcome == Outcome::kNotFound ? "" : result.error;
    };
    ServerThread server(MetadataServer::Options{}, 0, {},
                        {made.at("server.pem"), made.at("server.key"), ""});
    EXPECT_EQ(failure(server, trusts), "");
    const auto storage =
        storageWith("https://127.0.0.1:" + std::to_string(server.port()) + "/metadata", "", trusts);
    const std::string large(5000000, 'x');
    ASSERT_TRUE(storage->set("a", large).ok());
    std::string value;
    ASSERT_TRUE(storage->get("a", &value).ok());
    EXPECT_EQ(value, large);
    // Nobody vouches for it, and nothing goes in the clear.
    EXPECT_THAT(failure(server, {}), HasSubstr("certificate"));
    EXPECT_THAT(failure(server, {.ca = made.at("other.pem"), .cert = "", .key = ""}),
                HasSubstr("certificate"));
    EXPECT_EQ(storageWith(server.url(), "")->get("a", &value).outcome, Outcome::kFailed);

    ServerThread impostor(MetadataServer::Options{}, 0, {},
                          {made.at("elsewhere.pem"), made.at("elsewhere.key"), ""});
    EXPECT_THAT(failure(impostor, trusts), HasSubstr("subject name"))
        << "its certificate is for another host";

    ServerThread strict(MetadataServer::Options{}, 0, {},
                        {made.at("server.pem"), made.at("server.key"), made.at("ca.pem")});
    EXPECT_NE(failure(strict, trusts), "");
    EXPECT_EQ(failure(strict, {made.at("ca.pem"), made.at("client.pem"), made.at("client.key")}),
              "");
    EXPECT_NE(failure(strict, {made.at("ca.pem"), made.at("other.pem"), made.at("other.key")}), "");
    std::string error;
    EXPECT_FALSE(makeTlsContext({made.at("server.pem"), made.at("client.key"), ""}, &error));
    EXPECT_THAT(error, HasSubstr("client.key"));
    EXPECT_FALSE(makeTlsContext({made.at("absent"), made.at("client.key"), ""}, &error));
    EXPECT_THAT(error, HasSubstr("absent"));
}

// A node that is told whom to trust trusts nobody else: here the system's folder of authorities, as
// a node sees it that has a place of its own in the file system, vouches for the server.
TEST(MetadataServerTest, AnAuthorityThatIsNamedIsTheOnlyOne) {
    const Certificates made;
    ServerThread server(MetadataServer::Options{}, 0, {},
                        {made.at("server.pem"), made.at("server.key"), ""});
    const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/metadata";
    const std::string system = made.at("system");
    const std::string prepare = "mkdir " + system + " && cp " + made.at("ca.pem") + " " + system +
                                " && openssl rehash " + system + " && cp " + made.at("other.pem") +
                                " " + system + "/ca-certificates.crt";
    ASSERT_EQ(std::system(prepare.c_str()), 0);
    const auto node = [&](std::vector<std::string> environment) {
        return std::make_unique<test_support::ChildProcess>(
            std::vector<std::string>{"unshare", geteuid() == 0 ? "-m" : "-rm", "sh", "-c",
                                     "mount --bind \"$1\" /etc/ssl/certs && shift && exec \"$@\"",
                                     "sh", system, METADATA_NODE_PROGRAM, url, "node:1", "nqn.x",
                                     "0"},
            std::move(environment));
    };
    const auto trusting = node({});
    EXPECT_EQ(trusting->waitForLine("ready"), "ready") << trusting->output();
    const auto strict = node({"MC_METADATA_CACERT=" + made.at("other.pem")});
    EXPECT_EQ(strict->wait(), 1);
    EXPECT_THAT(strict->output(), HasSubstr("certificate"));
}

// Case 45: a client that begins to speak TLS and stops.
TEST(MetadataServerTest, ASilentHandshakeHasATimeLimit) {
    const Certificates made;
    MetadataServer::Options options = patient();
    options.times.header = milliseconds(50);
    ServerThread server(options, 0, {}, {made.at("server.pem"), made.at("server.key"), ""});
    for (const std::string& said : {std::string(), std::string("\x16\x03\x01")}) {
        DeadlineSocket socket = connectTo(server);
        ASSERT_TRUE(socket.send(said, soon()).ok());
        receiveAll(&socket);
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
TEST(ConnectionThreadsTest, HoldsNoMoreThanItMay) {
    ConnectionThreads threads(2);
    std::promise<void> go, handed;
    const std::shared_future<void> gone = go.get_future().share();
    std::atomic<int> served = 0;
    for (int i = 0; i < 2; ++i) threads.enqueue([&] { gone.wait(), ++served; });
    std::thread third([&] {
        threads.enqueue([&] { ++served; });
        EXPECT_GE(served, 1);
        handed.set_value();
    });
    auto done = handed.get_future();
    EXPECT_EQ(done.wait_for(milliseconds(50)), std::future_status::timeout);
    go.set_value();
    third.join();
    threads.shutdown();
    EXPECT_EQ(served, 3);
}

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
