// SPDX-License-Identifier: Apache-2.0
// Case 45: a metadata server that is down, silent, slow, or answers garbage.
#include "http_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <vector>

#include "certificates.h"
#include "scripted_server.h"
#include "store_retry.h"
#include "variable.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Outcome = MetadataStorage::Outcome;
using Server = ScriptedServer;

// Short, so that the tests need not wait; small, so that an answer can be too large.
StoreLimits limits() {
    StoreLimits limits;
    limits.total = std::chrono::milliseconds(300);
    limits.answer_bytes = 1000;
    limits.pause = std::chrono::milliseconds(1);
    return limits;
}

StoreLimits patient() {
    StoreLimits limits;
    limits.total = std::chrono::milliseconds(20000);
    limits.answer_bytes = 1000;
    limits.pause = std::chrono::milliseconds(1);
    return limits;
}

std::unique_ptr<HttpStorage> storageAt(const std::string& url, const StoreLimits& limits) {
    std::unique_ptr<HttpStorage> storage;
    EXPECT_TRUE(HttpStorage::create(url, limits, &storage).ok());
    return storage;
}

std::string answerOf(const std::string& status, const std::string& body) {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

TEST(HttpStorageTest, SpeaksTheWireFormat) {
    std::vector<std::string> requests;
    const std::string url = [&] {
        Server server([&](int fd) {
            requests.push_back(Server::receiveRequest(fd));
            Server::sendText(fd, answerOf("200 OK", "the value"));
        });
        auto storage = storageAt(server.url(), patient());
        std::string value;
        EXPECT_TRUE(storage->get("mooncake/ram/a b+c", &value).ok());
        EXPECT_EQ(value, "the value");
        EXPECT_TRUE(storage->set("mooncake/ram/a", "{\"x\":1}").ok());
        EXPECT_TRUE(storage->remove("mooncake/ram/a").ok());
        return server.url();
    }();
    ASSERT_EQ(requests.size(), 3u);
    EXPECT_THAT(requests[0],
                StartsWith("GET /metadata?key=mooncake%2Fram%2Fa%20b%2Bc HTTP/1.1\r\n"));
    EXPECT_THAT(requests[1], AllOf(StartsWith("PUT /metadata?key=mooncake%2Fram%2Fa HTTP/1.1\r\n"),
                                   HasSubstr("\r\nContent-Type: application/json\r\n"),
                                   EndsWith("\r\n\r\n{\"x\":1}")));
    EXPECT_THAT(requests[1], ::testing::Not(HasSubstr("Expect:")));
    EXPECT_THAT(requests[2], StartsWith("DELETE /metadata?key=mooncake%2Fram%2Fa HTTP/1.1\r\n"));
}

TEST(HttpStorageTest, TellsAbsentFromRefusedFromFailed) {
    std::string status;
    Server server([&](int fd) {
        Server::receiveRequest(fd);
        Server::sendText(fd, answerOf(status, "because\x01"));
    });
    auto storage = storageAt(server.url(), patient());
    const struct {
        const char* status;
        Outcome get;
        Outcome set;
        Outcome remove;
    } cases[] = {
        {"404 Not Found", Outcome::kNotFound, Outcome::kRefused, Outcome::kNotFound},
        {"400 Bad Request", Outcome::kRefused, Outcome::kRefused, Outcome::kRefused},
        {"413 Payload Too Large", Outcome::kRefused, Outcome::kRefused, Outcome::kRefused},
        {"204 No Content", Outcome::kFailed, Outcome::kOk, Outcome::kOk},
        {"429 Too Many Requests", Outcome::kFailed, Outcome::kFailed, Outcome::kFailed},
        {"500 Internal Server Error", Outcome::kFailed, Outcome::kFailed, Outcome::kFailed},
        {"507 Insufficient Storage", Outcome::kFailed, Outcome::kFailed, Outcome::kFailed},
        {"302 Found\r\nLocation: file:///etc/hostname", Outcome::kFailed, Outcome::kFailed,
         Outcome::kFailed},
    };
    for (const auto& one : cases) {
        status = one.status;
        std::string value = "untouched";
        const auto got = storage->get("k", &value);
        EXPECT_EQ(got.outcome, one.get) << one.status;
        EXPECT_EQ(value, "untouched");
        EXPECT_THAT(got.error, AllOf(HasSubstr(server.url()), HasSubstr(status.substr(0, 3))));
        EXPECT_EQ(storage->set("k", "v").outcome, one.set) << one.status;
        EXPECT_EQ(storage->remove("k").outcome, one.remove) << one.status;
    }
    status = "400 Bad Request";
    EXPECT_THAT(storage->set("k", "v").error, HasSubstr("because.")) << "and no control character";
}

// A server of others: it keeps values, answers no entity tags, and ignores conditions; with
// `write_once` it takes each key once, until it is removed.
class PlainServer {
 public:
    explicit PlainServer(bool write_once) : write_once_(write_once) {}

    std::string url() const { return server_.url(); }
    std::map<std::string, std::string> values;  // by the query's key, as it is encoded
    std::string requests;                       // the methods, in order

 private:
    void answer(int fd) {
        const std::string request = Server::receiveRequest(fd);
        const std::string method = request.substr(0, request.find(' '));
        const size_t begin = request.find("?key=") + 5;
        const std::string key = request.substr(begin, request.find(' ', begin) - begin);
        requests += method + " ";
        const auto found = values.find(key);
        if (method == "PUT") {
            const std::string body = request.substr(request.find("\r\n\r\n") + 4);
            if (body == refused || (write_once_ && found != values.end())) {
                Server::sendText(fd, answerOf("400 Bad Request", "duplicate"));
                return;
            }
            values[key] = body;
        } else if (found == values.end()) {
            Server::sendText(fd, answerOf("404 Not Found", ""));
            return;
        }
        const std::string body = method == "GET" ? found->second : "ok";
        if (method == "DELETE") values.erase(found);
        Server::sendText(fd, answerOf("200 OK", body));
    }

    const bool write_once_;

 public:
    std::string refused = "no such value";

 private:
    Server server_{[this](int fd) { answer(fd); }};
};

TEST(HttpStorageTest, DoesItsBestOnAServerWithoutEntityTags) {
    PlainServer server(false);
    auto storage = storageAt(server.url(), patient());
    MetadataStorage::Entry found;
    EXPECT_TRUE(storage->exchange("k", std::nullopt, "1", &found).ok());
    EXPECT_EQ(storage->exchange("k", std::nullopt, "2", &found).outcome, Outcome::kConflict);
    EXPECT_EQ(found, "1");
    EXPECT_EQ(storage->exchange("k", "0", "2", &found).outcome, Outcome::kConflict);
    EXPECT_EQ(storage->exchange("k", "0", std::nullopt, &found).outcome, Outcome::kConflict);
    EXPECT_EQ(server.values["k"], "1");
    EXPECT_TRUE(storage->exchange("k", "1", "2", &found).ok());
    EXPECT_EQ(server.values["k"], "2");
    EXPECT_TRUE(storage->exchange("k", "2", std::nullopt, &found).ok());
    EXPECT_TRUE(server.values.empty());
    EXPECT_EQ(storage->exchange("k", "2", "3", &found).outcome, Outcome::kConflict);
    EXPECT_EQ(found, std::nullopt);
}

// Case 46: some stores refuse to overwrite an address once it is set.
TEST(HttpStorageTest, ReplacesAnAddressInAWriteOnceStore) {
    PlainServer server(true);
    auto storage = storageAt(server.url(), patient());
    const std::string key = "mooncake/rpc_meta/node", encoded = "mooncake%2Frpc_meta%2Fnode";
    MetadataStorage::Entry found;
    EXPECT_TRUE(storage->exchange(key, std::nullopt, "crashed", &found).ok());
    EXPECT_TRUE(storage->exchange(key, "crashed", "successor", &found).ok());
    EXPECT_EQ(server.values[encoded], "successor");
    // The same again: nothing needs to be replaced.
    server.requests.clear();
    EXPECT_TRUE(storage->exchange(key, "crashed", "successor", &found).ok());
    EXPECT_EQ(server.requests, "GET ");
    // What the store takes not even then leaves what was there.
    server.refused = "bad";
    EXPECT_EQ(storage->exchange(key, "successor", "bad", &found).outcome, Outcome::kRefused);
    EXPECT_EQ(server.values[encoded], "successor");
    // A descriptor that it refuses is too large, or the like; it is not removed for that.
    EXPECT_TRUE(storage->exchange("mooncake/ram/node", std::nullopt, "1", &found).ok());
    server.requests.clear();
    EXPECT_EQ(storage->exchange("mooncake/ram/node", "1", "2", &found).outcome, Outcome::kRefused);
    EXPECT_EQ(server.requests, "GET PUT ");
}

// The answer to the change gets lost, and the next attempt is told that the entry has changed.
TEST(HttpStorageTest, ItsOwnChangeIsNoConflict) {
    int puts = 0;
    std::string value = "before";
    std::string conditions;
    Server server([&](int fd) {
        const std::string request = Server::receiveRequest(fd);
        const std::string tag = "ETag: \"" + std::to_string(puts) + "\"\r\n";
        if (request.starts_with("GET")) {
            Server::sendText(fd, "HTTP/1.1 200 OK\r\n" + tag + "Content-Length: " +
                                     std::to_string(value.size()) + "\r\n\r\n" + value);
            return;
        }
        const size_t at = request.find("If-Match: ");
        if (at != std::string::npos) conditions += request.substr(at, request.find('\r', at) - at);
        if (++puts > 1) {
            Server::sendText(fd, answerOf("412 Precondition Failed", ""));
        } else {
            value = request.substr(request.find("\r\n\r\n") + 4);
        }
    });
    auto storage = storageAt(server.url(), patient());
    MetadataStorage::Entry found;
    const auto result = storage->exchange("k", "before", "after", &found);
    EXPECT_TRUE(result.ok()) << result.error;
    EXPECT_EQ(puts, 2);
    EXPECT_EQ(conditions, "If-Match: \"0\"If-Match: \"0\"");
}

void expectFailure(const std::string& url, const StoreLimits& limits, const std::string& cause) {
    auto storage = storageAt(url, limits);
    std::string value = "untouched";
    const auto got = storage->get("k", &value);
    EXPECT_EQ(got.outcome, Outcome::kFailed);
    EXPECT_EQ(value, "untouched");
    EXPECT_THAT(got.error, AllOf(HasSubstr("GET " + url), HasSubstr(cause)));
    EXPECT_EQ(storage->set("k", "v").outcome, Outcome::kFailed);
    EXPECT_EQ(storage->remove("k").outcome, Outcome::kFailed);
}

TEST(HttpStorageTest, AServerThatIsDown) {
    std::string url;
    {
        url = Server([](int) {}).url();
    }
    expectFailure(url, patient(), "connect");
}

TEST(HttpStorageTest, ASilentServer) {
    Server server([](int fd) { Server::waitForClose(fd); });
    expectFailure(server.url(), limits(), "imeout");
}

// Nor does it connect: its queue is full. That takes one attempt's time, not all of it.
TEST(HttpStorageTest, AServerThatDoesNotEvenAccept) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    std::vector<int> fds = {socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    ASSERT_EQ(bind(fds[0], generic, size), 0);
    ASSERT_EQ(listen(fds[0], 0), 0);
    ASSERT_EQ(getsockname(fds[0], generic, &size), 0);
    for (int i = 0; i < 3; ++i) {
        fds.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        EXPECT_TRUE(connect(fds.back(), generic, size) == 0 || errno == EINPROGRESS);
    }
    StoreLimits quick = limits();
    quick.connect = std::chrono::milliseconds(20);
    quick.total = std::chrono::milliseconds(5000);
    const std::string url =
        "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/metadata";
    std::string value;
    const auto result = storageAt(url, quick)->get("k", &value);
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_THAT(result.error, HasSubstr("after 3 attempts"));
    for (const int fd : fds) close(fd);
}

TEST(HttpStorageTest, AServerThatNeverFinishes) {
    Server server([](int fd) {
        Server::receiveRequest(fd);
        Server::sendText(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbegun");
        Server::waitForClose(fd);
    });
    expectFailure(server.url(), limits(), "imeout");
}

TEST(HttpStorageTest, AServerThatGoesAwayInTheMiddle) {
    Server server([](int fd) {
        Server::receiveRequest(fd);
        Server::sendText(fd, "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nbegun");
    });
    expectFailure(server.url(), patient(), "");
}

TEST(HttpStorageTest, AServerOfAnotherKind) {
    Server server([](int fd) {
        Server::sendText(fd, "SSH-2.0-OpenSSH_9.2\r\n");
        shutdown(fd, SHUT_WR);
        Server::waitForClose(fd);
    });
    expectFailure(server.url(), patient(), "");
}

TEST(HttpStorageTest, AnAnswerWithoutEnd) {
    for (const char* header : {"Content-Length: 100000000", "Transfer-Encoding: chunked"}) {
        Server server([header](int fd) {
            Server::receiveRequest(fd);
            Server::sendText(fd, "HTTP/1.1 200 OK\r\n" + std::string(header) + "\r\n\r\n");
            while (Server::sendText(fd, "40\r\n" + std::string(64, 'a') + "\r\n")) {
            }
        });
        expectFailure(server.url(), patient(), "larger than 1000 bytes");
    }
}

TEST(HttpStorageTest, UsesNoProxy) {
    Server server([](int fd) {
        Server::receiveRequest(fd);
        Server::sendText(fd, answerOf("200 OK", "direct"));
    });
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    std::string value;
    EXPECT_TRUE(storageAt(server.url(), patient())->get("k", &value).ok());
    EXPECT_EQ(value, "direct");
    unsetenv("http_proxy");
    unsetenv("all_proxy");
}

TEST(HttpStorageTest, KeepsItsConnectionForTheNextRequest) {
    std::atomic<int> connections{0};
    std::atomic<int> requests{0};
    Server server([&](int fd) {
        ++connections;
        while (!Server::receiveRequest(fd).empty()) {
            ++requests;
            Server::sendText(fd, answerOf("200 OK", "value"));
        }
    });
    {
        auto storage = storageAt(server.url(), patient());
        std::string value;
        for (int i = 0; i < 5; ++i) {
            EXPECT_TRUE(storage->get("k", &value).ok());
            EXPECT_TRUE(storage->set("k", "v").ok());
        }
    }
    // Another connection is served when the first is closed: then the counters are final.
    std::string value;
    EXPECT_TRUE(storageAt(server.url(), patient())->get("k", &value).ok());
    EXPECT_EQ(connections, 2);
    EXPECT_EQ(requests, 11);
}

TEST(HttpStorageTest, SendsItsToken) {
    const Folder folder;
    const Variable file("MC_METADATA_TOKEN_FILE", folder.write("token", "of-the-first-day\n"));
    std::vector<std::string> requests;
    std::string right = "of-the-first-day";
    Server server([&](int fd) {
        for (std::string request; !(request = Server::receiveRequest(fd)).empty();) {
            requests.push_back(request);
            const bool known =
                request.find("\r\nAuthorization: Bearer " + right + "\r\n") != std::string::npos;
            Server::sendText(fd, known ? answerOf("200 OK", "value")
                                       : answerOf("401 Unauthorized", "who are you?"));
        }
    });
    auto storage = storageAt(server.url(), patient());
    std::string value;
    EXPECT_TRUE(storage->get("k", &value).ok());
    EXPECT_EQ(requests.size(), 1u);
    // The server has another, and so has the file.
    right = "of-the-second-day";
    auto result = storage->get("k", &value);
    EXPECT_EQ(result.outcome, Outcome::kRefused);
    EXPECT_THAT(result.error, AllOf(HasSubstr("401"), HasSubstr("MC_METADATA_TOKEN_FILE"),
                                    ::testing::Not(HasSubstr("of-the-first"))));
    EXPECT_EQ(requests.size(), 2u) << "the same again is of no use";
    folder.write("token", right);
    result = storage->get("k", &value);
    EXPECT_TRUE(result.ok()) << result.error;
    EXPECT_EQ(requests.size(), 4u);
}

// It is for the server that was named, and nobody else.
TEST(HttpStorageTest, ItsTokenGoesNowhereElse) {
    const Folder folder;
    const Variable file("MC_METADATA_TOKEN_FILE", folder.write("token", "for-one-server"));
    std::atomic<int> elsewhere{0};
    Server other([&](int) { ++elsewhere; });
    Server server([&](int fd) {
        Server::receiveRequest(fd);
        Server::sendText(
            fd, "HTTP/1.1 307 Away\r\nLocation: " + other.url() + "\r\nContent-Length: 0\r\n\r\n");
    });
    std::string value;
    EXPECT_EQ(storageAt(server.url(), patient())->get("k", &value).outcome, Outcome::kFailed);
    EXPECT_EQ(elsewhere, 0);
}

TEST(HttpStorageTest, RefusesHalfOfASetting) {
    const Folder folder;
    const auto complaint = [](const std::string& url) {
        std::unique_ptr<HttpStorage> storage;
        const Status status = HttpStorage::create(url, StoreLimits(), &storage);
        EXPECT_TRUE(status.IsInvalidArgument()) << status;
        return std::string(status.message());
    };
    {
        const Variable token("MC_METADATA_TOKEN_FILE", folder.write("token", "two words"));
        EXPECT_THAT(complaint("http://h/m"),
                    AllOf(HasSubstr("a space"), ::testing::Not(HasSubstr("words"))));
    }
    {
        const Variable cert("MC_METADATA_CERT", "/dev/null");
        EXPECT_THAT(complaint("https://h/m"), HasSubstr("MC_METADATA_KEY is not"));
    }
    {
        const Variable ca("MC_METADATA_CACERT", "/no/such/file");
        EXPECT_THAT(complaint("https://h/m"), HasSubstr("MC_METADATA_CACERT names"));
    }
    const Variable ca("MC_METADATA_CACERT", "/dev/null");
    EXPECT_THAT(complaint("http://h/m"), HasSubstr("https://host:port/metadata"));
}

// Case 45: a server, or a proxy before it, that cannot answer at the moment.
TEST(HttpStorageTest, RepeatsWhatFailsInPassing) {
    std::atomic<int> failures{0};
    Server server([&](int fd) {
        Server::receiveRequest(fd);
        // Closing without an answer, and an answer that asks for patience, in turn.
        if (failures-- > 0) {
            if (failures % 2 == 0) Server::sendText(fd, answerOf("503 Busy", "later"));
            return;
        }
        Server::sendText(fd, answerOf("200 OK", "value"));
    });
    auto storage = storageAt(server.url(), patient());
    for (const int bearable : {1, 2}) {
        failures = bearable;
        std::string value;
        const auto result = storage->get("k", &value);
        EXPECT_TRUE(result.ok()) << result.error;
        EXPECT_EQ(value, "value");
    }
    // No retry hides what happened in the end.
    failures = 3;
    std::string value = "untouched";
    const auto result = storage->set("k", "v");
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_THAT(result.error, AllOf(HasSubstr("503"), HasSubstr("3 attempts")));
}

// What another attempt cannot mend is not repeated.
// All attempts share one time, and none is begun for which there is none.
TEST(StoreRetryTest, AllAttemptsShareOneTime) {
    StoreLimits limits;
    limits.total = std::chrono::hours(1);
    limits.pause = std::chrono::milliseconds(1);
    std::vector<std::chrono::milliseconds> left;
    const auto fail = [&](std::chrono::milliseconds time) -> StoreAttempt {
        left.push_back(time);
        return {{Outcome::kFailed, "again"}, left.size() < 8};
    };
    EXPECT_EQ(withRetries(limits, nullptr, fail).error, "again (after 3 attempts)");
    ASSERT_EQ(left.size(), 3u);
    EXPECT_LE(left[0], limits.total);
    EXPECT_LT(left[1], left[0]);
    EXPECT_LT(left[2], left[1]);
    left.clear();
    limits.total = std::chrono::seconds(1);
    limits.pause = std::chrono::seconds(2);
    EXPECT_EQ(withRetries(limits, nullptr, fail).error, "again");
    EXPECT_EQ(left.size(), 1u);
}

TEST(HttpStorageTest, RepeatsNoRefusal) {
    std::atomic<int> requests{0};
    Server server([&](int fd) {
        ++requests;
        Server::receiveRequest(fd);
        Server::sendText(fd, answerOf("400 Bad Request", "no"));
    });
    EXPECT_EQ(storageAt(server.url(), patient())->set("k", "v").outcome, Outcome::kRefused);
    EXPECT_EQ(requests, 1);
}

TEST(HttpStorageTest, RefusesWhatIsNoUrlOfAServer) {
    for (const std::string& bad :
         {std::string("file:///etc/passwd"), std::string("ftp://h/metadata"),
          std::string("http://"), std::string("http:///metadata"), std::string("http://h:0x/m"),
          std::string("http://h:99999/m"), std::string("http://h/m?key=x"),
          std::string("http://h/m?"), std::string("http://h/m#x"), std::string("http://h/m m"),
          std::string("http://h/m\r\nX: y"), std::string("http://h/\0", 10),
          std::string("h/metadata"), std::string()}) {
        std::unique_ptr<HttpStorage> storage;
        const Status status = HttpStorage::create(bad, StoreLimits(), &storage);
        EXPECT_TRUE(status.IsInvalidArgument()) << bad;
        EXPECT_EQ(storage, nullptr);
    }
    std::unique_ptr<HttpStorage> storage;
    const Status status = HttpStorage::create("http://me:secret@h/m", StoreLimits(), &storage);
    EXPECT_TRUE(status.IsInvalidArgument());
    EXPECT_THAT(status.ToString(), ::testing::Not(HasSubstr("secret")));
    for (const char* good :
         {"http://h/metadata", "http://h:8080/metadata", "https://[::1]:1/x/y"}) {
        EXPECT_TRUE(HttpStorage::create(good, StoreLimits(), &storage).ok()) << good;
    }
}

TEST(HttpStorageTest, EncodesEveryByteOfAKey) {
    EXPECT_EQ(percentEncode("AZaz09-._~"), "AZaz09-._~");
    EXPECT_EQ(percentEncode("/ ?#&=+%"), "%2F%20%3F%23%26%3D%2B%25");
    EXPECT_EQ(percentEncode(std::string("\0\x7f\xff\n", 4)), "%00%7F%FF%0A");
}

}  // namespace
}  // namespace mooncake::test
