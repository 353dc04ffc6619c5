// SPDX-License-Identifier: Apache-2.0
// Clients that say nothing, too little, too much, or too slowly.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "connection_threads.h"
#include "metadata_server_fixture.h"

namespace mooncake::test {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// A host that connects, says something and then nothing more. All of 127/8 are this machine, but
// other hosts to the server.
class SilentHost {
 public:
    SilentHost(const ServerThread& server, const char* address, size_t connections,
               const std::string& said) {
        for (size_t i = 0; i < connections; ++i) {
            const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in own = {}, its = {};
            own.sin_family = its.sin_family = AF_INET;
            EXPECT_EQ(inet_pton(AF_INET, address, &own.sin_addr), 1);
            its.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            its.sin_port = htons(static_cast<uint16_t>(server.port()));
            EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0);
            EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&its), sizeof(its)), 0);
            (void)send(fd, said.data(), said.size(), MSG_NOSIGNAL);
            open_.push_back({fd, POLLIN, 0});
        }
    }
    ~SilentHost() {
        for (const pollfd& one : open_) close(one.fd);
    }
    SilentHost(const SilentHost&) = delete;
    SilentHost& operator=(const SilentHost&) = delete;

    // Until the server has closed so many of them, at least.
    bool waitUntilClosed(size_t count) {
        const auto deadline = soon();
        while (closed_ < count && std::chrono::steady_clock::now() < deadline) {
            poll(open_.data(), open_.size(), 1000);
            look();
        }
        return closed_ >= count;
    }
    // Until each has had the begin of an answer, at least.
    bool waitUntilAnswered() {
        return std::all_of(open_.begin(), open_.end(),
                           [](pollfd one) { return poll(&one, 1, 30000) == 1; });
    }
    size_t stillOpen() {
        look();
        return open_.size();
    }

 private:
    void look() {
        std::erase_if(open_, [this](const pollfd& one) {
            char bytes[4096];
            ssize_t got = 0;
            while ((got = recv(one.fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
            }
            if (got < 0 && errno == EAGAIN) return false;
            close(one.fd);
            ++closed_;
            return true;
        });
    }

    std::vector<pollfd> open_;
    size_t closed_ = 0;
};

int crowdedOut(const ServerThread& server) {
    std::string metrics;
    statusOf(HttpMethod::kGet, server.url("/metrics"), "", &metrics);
    constexpr char kRefused[] = "refused_total{cause=\"connections\"} ";
    const size_t at = metrics.find(kRefused);
    EXPECT_NE(at, std::string::npos) << metrics;
    return at == std::string::npos ? 0 : std::stoi(metrics.substr(at + sizeof(kRefused) - 1));
}

// Case 45: who says nothing, stops in the middle, or has its answer and stays makes room for those
// who ask, where there are more than the server takes.
TEST(MetadataServerTest, SilentClientsMakeRoom) {
    for (const std::string& said :
         {std::string(), std::string(kBegunHeader), std::string(kBegunBody), std::string(kWhole)}) {
        MetadataServer::Options options = patient();
        options.crowd = {.connections = 8, .per_peer = 8, .grace = milliseconds(30)};
        ServerThread server(options);
        SilentHost silent(server, "127.0.0.2", 30, said);
        EXPECT_EQ(statusOf(HttpMethod::kGet, server.url("/health")), 200) << said;
        EXPECT_EQ(statusOf(HttpMethod::kPut, server.url() + "?key=a", "value"), 200) << said;
        EXPECT_TRUE(silent.waitUntilClosed(22)) << said;
        EXPECT_GE(crowdedOut(server), 22) << said;
    }
}

// Behind one address, who has had its answer goes at once, and who asks has its time.
TEST(MetadataServerTest, WhoAsksStaysWhereOthersOfItsHostAreIdle) {
    MetadataServer::Options options = patient();
    options.crowd = {.connections = 64, .per_peer = 8, .grace = std::chrono::hours(1)};
    ServerThread server(options);
    SilentHost idle(server, "127.0.0.1", 30, kWhole);
    EXPECT_EQ(statusOf(HttpMethod::kPut, server.url() + "?key=a", "value"), 200);
    EXPECT_TRUE(idle.waitUntilClosed(22));
    EXPECT_GE(crowdedOut(server), 22);
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
                 {kWhole, &Times::leisure}};
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

// Who has had its answer may stay while few are connected, and not for as long where there are
// many.
TEST(MetadataServerTest, AFewHaveTheirLeisure) {
    MetadataServer::Options options = patient();
    options.times.idle = milliseconds(50);
    options.crowd = {.connections = 8, .per_peer = 8, .grace = std::chrono::hours(1)};
    ServerThread server(options);
    SilentHost only(server, "127.0.0.1", 1, kWhole);
    ASSERT_TRUE(only.waitUntilAnswered());
    SilentHost silent(server, "127.0.0.1", 1, "");
    ASSERT_TRUE(silent.waitUntilClosed(1)) << "its time has not passed";
    EXPECT_EQ(only.stillOpen(), 1u);
    const SilentHost asking(server, "127.0.0.1", 2, kBegunHeader);
    SilentHost further(server, "127.0.0.1", 3, kWhole);
    EXPECT_TRUE(further.waitUntilClosed(3));
    EXPECT_EQ(crowdedOut(server), 0);
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
    const auto cut = [&] {
        return std::count_if(greedy.begin(), greedy.end(), [](DeadlineSocket& one) {
            std::string bytes;
            const Status status =
                one.receive(1, std::chrono::steady_clock::now() + milliseconds(1), &bytes);
            return status.message().find("timed out") == std::string_view::npos;
        });
    };
    while (cut() < 6) std::this_thread::sleep_for(milliseconds(1));
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

}  // namespace
}  // namespace mooncake::test
