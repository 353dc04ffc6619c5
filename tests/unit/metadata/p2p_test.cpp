// SPDX-License-Identifier: Apache-2.0
// P2PHANDSHAKE: the bytes on the wire, nodes that behave badly, and nodes with nothing to offer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <json/json.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <thread>

#include "deadline_socket.h"
#include "p2p_frame.h"
#include "p2p_listener.h"
#include "p2p_storage.h"
#include "scripted_server.h"
#include "transfer_engine.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using Outcome = MetadataStorage::Outcome;

DeadlineSocket::Time later(int milliseconds = 60000) {
    return std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
}

StoreLimits quick() {
    StoreLimits limits;
    limits.pause = std::chrono::milliseconds(1);
    limits.connect = std::chrono::milliseconds(20000);
    limits.total = std::chrono::milliseconds(20000);
    limits.attempts = 2;
    return limits;
}

DeadlineSocket connectTo(uint16_t port) {
    DeadlineSocket socket;
    const Status status = socket.connect({"127.0.0.1", port}, later());
    EXPECT_TRUE(status.ok()) << status;
    return socket;
}

// What comes until the other side closes, which it does long before its own time limit.
std::string receiveAll(DeadlineSocket* socket) {
    std::string bytes;
    Status status;
    while (status.ok()) status = socket->receive(1 << 20, later(7000), &bytes);
    EXPECT_EQ(status.message().find("timed out"), std::string_view::npos) << "it is still open";
    return bytes;
}

size_t openDescriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// As another program than ours would write it.
std::string frame(const std::string& typed_text) {
    const uint64_t length = typed_text.size();
    std::string bytes(sizeof(length), '\0');
    std::memcpy(bytes.data(), &length, sizeof(length));
    return bytes + typed_text;
}

std::string ask(uint16_t port, const std::string& bytes) {
    DeadlineSocket socket = connectTo(port);
    EXPECT_TRUE(socket.send(bytes, later()).ok());
    return receiveAll(&socket);
}

// A node that answers with `text`, at a port of its own.
struct Responder {
    explicit Responder(const std::string& text) {
        EXPECT_TRUE(storage.listen("127.0.0.1", &port).ok());
        if (!text.empty()) {
            EXPECT_TRUE(storage.set("mooncake/ram/127.0.0.1:" + std::to_string(port), text).ok());
        }
    }
    uint16_t port = 0;
    P2pStorage storage{quick()};
};

TEST(P2pFrameTest, HasTheLayoutOfTheProtocol) {
    EXPECT_EQ(encodeP2pFrame(P2pType::kMetadata, "{}"), frame("\x01{}"));
    EXPECT_EQ(encodeP2pFrame(P2pType::kUntyped, "{}"), frame("{}"));
    for (const size_t step : {1, 3, 100}) {
        P2pFrameReader reader;
        const std::string bytes = frame("\x02{\"a\":1}");
        for (size_t i = 0; i < bytes.size(); i += step) {
            EXPECT_NE(reader.missing(), 0u);
            ASSERT_TRUE(reader.feed(bytes.substr(i, step)).ok());
        }
        EXPECT_EQ(reader.missing(), 0u);
        const P2pFrame got = reader.take();
        EXPECT_EQ(got.type, P2pType::kNotify);
        EXPECT_EQ(got.text, "{\"a\":1}");
    }
}

// Case 28: lengths that no message has.
TEST(P2pFrameTest, RefusesImpossibleLengths) {
    const std::pair<uint64_t, bool> lengths[] = {{0, false},           {1, true},
                                                 {kMaxP2pBytes, true}, {kMaxP2pBytes + 1, false},
                                                 {UINT64_MAX, false},  {UINT64_MAX - 7, false}};
    for (const auto& [length, good] : lengths) {
        std::string bytes(sizeof(length), '\0');
        std::memcpy(bytes.data(), &length, sizeof(length));
        P2pFrameReader reader;
        EXPECT_EQ(reader.feed(bytes).ok(), good) << length;
    }
    P2pFrameReader reader;
    EXPECT_FALSE(reader.feed(frame("\x01{}") + "x").ok());
}

TEST(P2pTest, AnswersEveryTypeAsANodeWithoutMemorySegments) {
    Responder node("{\"name\":\"me\"}");
    EXPECT_EQ(ask(node.port, frame("\x01{}\n")), frame("\x01{\"name\":\"me\"}"));
    const auto reply = [&](const std::string& bytes, char type) {
        const std::string answer = ask(node.port, bytes);
        Json::Value root;
        EXPECT_GT(answer.size(), 9u);
        EXPECT_EQ(answer[8], type);
        std::istringstream(answer.substr(type == '{' ? 8 : 9)) >> root;
        return root;
    };
    // A refusal of either kind, in the members that those who ask look at.
    EXPECT_NE(reply(frame(std::string("\0{}", 3)), '\0')["reply_msg"].asString(), "");
    EXPECT_NE(reply(frame("{\"local_nic_path\":\"\"}"), '{')["reply_msg"].asString(), "");
    EXPECT_EQ(reply(frame("\x02{}"), '\x02')["notify_msg"].asString(), "");
    EXPECT_EQ(ask(node.port, frame("\x03{}")), frame("\x03null"));
    Responder empty("");
    EXPECT_EQ(ask(empty.port, frame("\x01{}")), frame("\x01null"));
}

// Case 28: who sends garbage is cut off, and nobody else notices.
TEST(P2pTest, ClosesConnectionsThatAreNoNodes) {
    Responder node("{}");
    for (const std::string& garbage :
         {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(8, '\xff'), std::string(8, '\0'),
          frame("\xfe{}"), frame("[]"), frame("\x04{}")}) {
        EXPECT_EQ(ask(node.port, garbage), "") << garbage.substr(0, 20);
    }
    EXPECT_EQ(ask(node.port, frame("\x01{}")), frame("\x01{}"));
}

// Nothing of an ask but its type is of use, so that nothing else of it can do harm.
TEST(P2pTest, WhatStandsInAnAskIsNotLookedAt) {
    Responder node("{}");
    for (const std::string& text : {std::string(), std::string("{"), std::string("[]"),
                                    std::string(100000, '['), std::string(kMaxP2pBytes - 1, 'x')}) {
        EXPECT_EQ(ask(node.port, frame("\x01" + text)), frame("\x01{}")) << text.substr(0, 20);
    }
}

// Case 45: a hundred that are silent or slow do not hold up one that asks.
TEST(P2pTest, SilentConnectionsHoldUpNobody) {
    Responder node("{}");
    std::vector<DeadlineSocket> silent;
    for (int i = 0; i < 100; ++i) {
        silent.push_back(connectTo(node.port));
        if (i % 2 == 0) {
            EXPECT_TRUE(silent.back().send(frame("\x01{}").substr(0, 9), later()).ok());
        }
    }
    EXPECT_EQ(ask(node.port, frame("\x01{}")), frame("\x01{}"));
}

// Case 45: a time that was over before is a limit, too.
TEST(P2pTest, ASilentPeerWithoutTimeLeft) {
    const ScriptedServer silent([](int fd) { ScriptedServer::waitForClose(fd); });
    DeadlineSocket socket = connectTo(static_cast<uint16_t>(silent.port()));
    std::string bytes;
    const Status status = socket.receive(1, later(-1000), &bytes);
    EXPECT_NE(status.message().find("timed out"), std::string_view::npos) << status;
}

std::unique_ptr<P2pListener> startListener(const P2pListener::Limits& limits,
                                           const std::string& text = "{}") {
    std::unique_ptr<P2pListener> listener;
    const auto answer =
        std::make_shared<const std::string>(encodeP2pFrame(P2pType::kMetadata, text));
    EXPECT_TRUE(P2pListener::start(
                    "127.0.0.1", 0, limits, [answer](P2pType) { return answer; }, &listener)
                    .ok());
    return listener;
}

// Limits of time that no test reaches.
P2pListener::Limits patient() {
    P2pListener::Limits limits;
    limits.ask_time = limits.connection_time = std::chrono::hours(1);
    return limits;
}

// Silent from the beginning, after half of an ask, and after the answer.
TEST(P2pTest, AConnectionHasATimeLimit) {
    for (const std::string& said : {std::string(), frame("\x01{}").substr(0, 9), frame("\x01{}")}) {
        P2pListener::Limits limits = patient();
        (said.size() < 10 ? limits.ask_time : limits.connection_time) =
            std::chrono::milliseconds(50);
        const auto listener = startListener(limits);
        const size_t before = openDescriptors();
        DeadlineSocket silent = connectTo(listener->port());
        EXPECT_TRUE(silent.send(said, later()).ok());
        receiveAll(&silent);
        // An answer ends with half of the connection: what of it the listener keeps is not seen.
        const auto limit = later();
        while (openDescriptors() > before + 1 && std::chrono::steady_clock::now() < limit) {
            std::this_thread::yield();
        }
        EXPECT_EQ(openDescriptors(), before + 1) << "the listener's end is still open";
        EXPECT_EQ(ask(listener->port(), frame("\x01{}")), frame("\x01{}"));
    }
}

// Case 45: where there are too many, who has been silent longest goes, at once.
TEST(P2pTest, WhoIsSilentMakesRoom) {
    for (const bool per_peer : {false, true}) {
        P2pListener::Limits limits = patient();
        (per_peer ? limits.crowd.per_peer : limits.crowd.connections) = 2;
        const auto listener = startListener(limits);
        std::vector<DeadlineSocket> silent;
        for (int i = 0; i < 5; ++i) silent.push_back(connectTo(listener->port()));
        EXPECT_EQ(ask(listener->port(), frame("\x01{}")), frame("\x01{}"));
        for (int i = 0; i < 4; ++i) EXPECT_EQ(receiveAll(&silent[static_cast<size_t>(i)]), "");
        // The last one is still there, and is answered when it asks.
        ASSERT_TRUE(silent[4].send(frame("\x01{}"), later()).ok());
        EXPECT_EQ(receiveAll(&silent[4]), frame("\x01{}"));
    }
}

// Case 45: who has just come is not sent away before it could ask; others wait meanwhile.
TEST(P2pTest, WhoHasJustComeHasTimeToAsk) {
    P2pListener::Limits limits = patient();
    limits.crowd.connections = 1;
    limits.crowd.grace = std::chrono::hours(1);
    const auto listener = startListener(limits);
    DeadlineSocket first = connectTo(listener->port());
    DeadlineSocket second = connectTo(listener->port());
    ASSERT_TRUE(second.send(frame("\x01{}"), later()).ok());
    std::string early;
    EXPECT_FALSE(second.receive(1 << 20, later(50), &early).ok()) << early;
    ASSERT_TRUE(first.send(frame("\x01{}"), later()).ok());
    EXPECT_EQ(receiveAll(&first), frame("\x01{}"));
    EXPECT_EQ(receiveAll(&second), frame("\x01{}"));
}

// Case 45: those who do not take a large answer do not keep others from theirs.
TEST(P2pTest, WhoDoesNotTakeItsAnswerMakesRoom) {
    P2pListener::Limits limits = patient();
    limits.crowd.connections = 4;
    // More than the kernel takes for a connection by itself.
    const std::string text(kMaxP2pBytes - 1, 'x');
    const auto listener = startListener(limits, text);
    std::vector<DeadlineSocket> deaf;
    for (int i = 0; i < 8; ++i) {
        deaf.push_back(connectTo(listener->port()));
        ASSERT_TRUE(deaf.back().send(frame("\x01{}"), later()).ok());
        std::string begin;
        ASSERT_TRUE(deaf.back().receive(1, later(), &begin).ok()) << "its turn has come";
    }
    EXPECT_EQ(ask(listener->port(), frame("\x01{}")), encodeP2pFrame(P2pType::kMetadata, text));
}

// All that a machine or two can do to a node without breaking a rule: connections without end that
// say nothing, and messages as large as they may be.
TEST(P2pTest, FloodsDoNotSilenceANode) {
    Responder node("{\"name\":\"me\"}");
    std::atomic<bool> over{false};
    std::vector<std::thread> flood;
    flood.emplace_back([&] {
        std::vector<DeadlineSocket> idle(300);
        while (!over) {
            for (DeadlineSocket& one : idle) {
                std::string bytes;
                const bool open =
                    one.connected() && one.receive(1, later(-1), &bytes).message().find("closed") ==
                                           std::string_view::npos;
                if (open) continue;
                DeadlineSocket fresh;
                if (!fresh.connect({"127.0.0.1", node.port}, later()).ok()) continue;
                (void)fresh.send(frame("\x01{}").substr(0, 9), later());
                one = std::move(fresh);
            }
        }
    });
    std::string arrays = "\x03{\"a\":[[]";
    while (arrays.size() < 780000) arrays += ",[]";
    const std::string large = frame(arrays + "]}");
    for (int i = 0; i < 40; ++i) {
        flood.emplace_back([&] {
            while (!over) {
                DeadlineSocket socket;
                std::string bytes;
                if (socket.connect({"127.0.0.1", node.port}, later()).ok() &&
                    socket.send(large, later(10000)).ok()) {
                    (void)socket.receive(1 << 20, later(10000), &bytes);
                }
            }
        });
    }
    // The limits of a node.
    P2pStorage asker{StoreLimits()};
    for (int i = 0; i < 5; ++i) {
        std::string value;
        const auto result =
            asker.get("mooncake/ram/127.0.0.1:" + std::to_string(node.port), &value);
        EXPECT_TRUE(result.ok()) << result.error;
    }
    over = true;
    for (std::thread& one : flood) one.join();
}

// The engines of one machine have one address.
TEST(P2pTest, ManyOfOneMachineAskAtOnce) {
    Responder node("{\"name\":\"me\"}");
    std::vector<std::thread> askers;
    std::atomic<int> answered{0};
    for (int i = 0; i < 200; ++i) {
        askers.emplace_back([&] {
            StoreLimits once;
            once.attempts = 1;
            P2pStorage asker(once);
            std::string value;
            const auto result =
                asker.get("mooncake/ram/127.0.0.1:" + std::to_string(node.port), &value);
            EXPECT_TRUE(result.ok()) << result.error;
            if (result.ok()) ++answered;
        });
    }
    for (std::thread& one : askers) one.join();
    EXPECT_EQ(answered, 200);
}

// Case 45: it closes in the middle, as a program that ends does.
TEST(P2pTest, AHalfMessageIsNotWaitedFor) {
    const auto listener = startListener(patient());
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(listener->port());
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(send(fd, "half", 4, MSG_NOSIGNAL), 4);
    EXPECT_EQ(shutdown(fd, SHUT_WR), 0);
    const timeval limit{10, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    char byte = 0;
    EXPECT_EQ(recv(fd, &byte, 1, 0), 0) << "it is still open";
    close(fd);
}

TEST(P2pTest, ALargeAnswerArrivesWhole) {
    std::string text = "{\"a\":\"" + std::string(kMaxP2pBytes - 20, 'x') + "\"}";
    Responder node(text);
    Responder other("");
    std::string value;
    const auto result =
        other.storage.get("mooncake/ram/127.0.0.1:" + std::to_string(node.port), &value);
    ASSERT_TRUE(result.ok()) << result.error;
    EXPECT_EQ(value, text);
    // One that no message can hold is refused, and what was there stays.
    const auto refused = node.storage.set("mooncake/ram/x", std::string(kMaxP2pBytes, 'x'));
    EXPECT_EQ(refused.outcome, Outcome::kRefused);
    EXPECT_THAT(refused.error, HasSubstr("P2PHANDSHAKE"));
    EXPECT_TRUE(
        other.storage.get("mooncake/ram/127.0.0.1:" + std::to_string(node.port), &value).ok());
}

// Case 45: the other node is down, silent, slow, or answers garbage.
TEST(P2pTest, WhatANodeDoesNotAnswerIsAnError) {
    P2pStorage storage(quick());
    const auto get = [&](int port) {
        std::string value = "untouched";
        const auto result = storage.get("mooncake/ram/127.0.0.1:" + std::to_string(port), &value);
        EXPECT_EQ(value, "untouched");
        EXPECT_THAT(result.error, HasSubstr("127.0.0.1:" + std::to_string(port)));
        return result.outcome;
    };
    int closed = 0;
    {
        closed = ScriptedServer([](int) {}).port();
    }
    EXPECT_EQ(get(closed), Outcome::kFailed);
    for (const std::string& answer :
         {std::string(), std::string("\x01"), std::string(8, '\xff'), frame("\x01{}").substr(0, 10),
          frame("\x02{}"), frame("{}")}) {
        ScriptedServer server([&](int fd) {
            char buffer[4096];
            if (recv(fd, buffer, sizeof(buffer), 0) > 0) ScriptedServer::sendText(fd, answer);
            shutdown(fd, SHUT_WR);
            ScriptedServer::waitForClose(fd);
        });
        EXPECT_EQ(get(server.port()), Outcome::kFailed) << answer;
    }
    StoreLimits limits = quick();
    limits.total = std::chrono::milliseconds(100);
    P2pStorage hasty(limits);
    ScriptedServer silent([](int fd) { ScriptedServer::waitForClose(fd); });
    std::string value;
    EXPECT_EQ(hasty.get("mooncake/ram/127.0.0.1:" + std::to_string(silent.port()), &value).outcome,
              Outcome::kFailed);
    Responder empty("");
    EXPECT_EQ(get(empty.port), Outcome::kNotFound) << "a pure initiator has no segment";
}

// What the asker sends is a descriptor that any node can read, also where it has no files.
TEST(P2pTest, APureInitiatorAsks) {
    std::string asked;
    ScriptedServer server([&](int fd) {
        P2pFrameReader reader;
        while (reader.missing() > 0) {
            char byte = 0;
            if (recv(fd, &byte, 1, 0) != 1) return;
            EXPECT_TRUE(reader.feed(std::string_view(&byte, 1)).ok());
        }
        asked = reader.take().text;
        ScriptedServer::sendText(fd, frame("\x01{\"name\":\"n\",\"protocol\":\"p\"}\n"));
        ScriptedServer::waitForClose(fd);
    });
    TransferEngine engine;
    ASSERT_EQ(engine.init(P2PHANDSHAKE, "127.0.0.1"), 0);
    EXPECT_EQ(engine.openSegment("127.0.0.1:" + std::to_string(server.port())), 1u);
    Json::Value root;
    std::istringstream(asked) >> root;
    EXPECT_EQ(root["protocol"].asString(), "nvmeof_generic");
    EXPECT_EQ(root["name"].asString(), engine.getLocalIpAndPort());
    EXPECT_TRUE(root["nvmeof_generic_trid"].isObject());
    EXPECT_TRUE(root["file_buffers"].isArray());
}

TEST(P2pTest, TheNameOfAnEngineIsItsAddress) {
    TransferEngine first;
    ASSERT_EQ(first.init(P2PHANDSHAKE, "127.0.0.1:0"), 0);
    const std::string name = first.getLocalIpAndPort();
    EXPECT_THAT(name, ::testing::StartsWith("127.0.0.1:"));
    EXPECT_NE(first.getRpcPort(), 0);
    // Two cannot have one, and the second can have another.
    TransferEngine second;
    EXPECT_EQ(second.init(P2PHANDSHAKE, name), ERR_SOCKET);
    EXPECT_EQ(second.init(P2PHANDSHAKE, "127.0.0.1"), 0);
    EXPECT_NE(second.getLocalIpAndPort(), name);
    EXPECT_EQ(first.freeEngine(), 0);
    // Case 25, 26
    for (const char* bad : {"127.0.0.1:65536", "127.0.0.1:http", "a/b:1", "a b:1", "[::1", "a:b:1",
                            "a,b:1", ":1", "host_with_$:1", "fe80::1%lo", "[fe80::1%lo]:1"}) {
        TransferEngine engine;
        EXPECT_EQ(engine.init(P2PHANDSHAKE, bad), ERR_INVALID_ARGUMENT) << bad;
    }
    TransferEngine elsewhere;
    EXPECT_EQ(elsewhere.init(P2PHANDSHAKE, "192.0.2.1:0"), ERR_SOCKET) << "not this machine's";
    EXPECT_EQ(second.openSegment("no address"), TransferMetadata::kInvalidSegmentID);
    EXPECT_EQ(second.openSegment("x/y"), TransferMetadata::kInvalidSegmentID);
}

TEST(P2pTest, ServesBothFamiliesUnderAHostName) {
    P2pStorage storage(quick());
    uint16_t port = 0;
    ASSERT_TRUE(storage.listen("localhost", &port).ok());
    EXPECT_EQ(ask(port, frame("\x01{}")), frame("\x01null"));
    DeadlineSocket socket;
    if (socket.connect({"::1", port}, later()).ok()) {
        EXPECT_TRUE(socket.send(frame("\x01{}"), later()).ok());
        EXPECT_EQ(receiveAll(&socket), frame("\x01null"));
    }
}

}  // namespace
}  // namespace mooncake::test
