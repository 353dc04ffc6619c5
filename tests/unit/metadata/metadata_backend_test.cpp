// SPDX-License-Identifier: Apache-2.0
// One suite for every metadata backend, each with its real server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "child_process.h"
#include "store_server.h"
#include "transfer_metadata.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using Outcome = MetadataStorage::Outcome;
using SegmentDesc = TransferMetadata::SegmentDesc;

std::shared_ptr<SegmentDesc> segment(const std::string& name, const std::string& nqn) {
    auto desc = std::make_shared<SegmentDesc>();
    desc->name = name;
    desc->protocol = "nvmeof_generic";
    desc->nvmeof_generic_trid = {"tcp", "ipv4", "10.1.2.3", "4420", nqn};
    return desc;
}

// Nodes that share one server.
template <typename Server>
struct Served {
    Served() { server.start(); }
    std::string connString() const { return server.connString(); }
    std::shared_ptr<MetadataStorage> storage() const { return server.storage(); }
    std::string newName() { return "node-" + std::to_string(++names); }

    Server server;
    int names = 0;
};

// Nodes that ask each other. The storage is the node.
struct PeerToPeer {
    static std::string connString() { return P2PHANDSHAKE; }
    static std::shared_ptr<MetadataStorage> storage() {
        std::shared_ptr<MetadataStorage> storage;
        EXPECT_TRUE(createMetadataStorage(connString(), testLimits(), &storage).ok());
        return storage;
    }
    static std::string newName() { return "127.0.0.1:" + std::to_string(freePort()); }
};

// Waits for what another thread brings about.
template <typename Condition>
bool comesTrue(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
}

// A node of the test's own, with its address and an empty segment published.
struct Node {
    Node(std::shared_ptr<MetadataStorage> storage, std::string node_name, const std::string& nqn,
         std::chrono::milliseconds check_interval = std::chrono::milliseconds(0))
        : name(std::move(node_name)), metadata(std::move(storage), check_interval) {
        const auto [host, port] = parseHostNameWithPort(name);
        TransferMetadata::RpcMetaDesc rpc{host, port, -1};
        EXPECT_EQ(metadata.addRpcMetaEntry(name, rpc), 0);
        EXPECT_EQ(metadata.addLocalSegment(LOCAL_SEGMENT_ID, name, segment(name, nqn)), 0);
        EXPECT_EQ(metadata.updateLocalSegmentDesc(), 0);
    }
    const std::string name;
    TransferMetadata metadata;
};

template <typename Backend>
class MetadataBackendTest : public ::testing::Test {
 protected:
    Node node(const std::string& name, const std::string& nqn = "nqn.test:1",
              std::chrono::milliseconds check_interval = std::chrono::milliseconds(0)) {
        return Node(backend_.storage(), name, nqn, check_interval);
    }
    Backend backend_;
};

template <typename Backend>
class MetadataServerBackendTest : public MetadataBackendTest<Backend> {};

#if defined(USE_ETCD) && defined(USE_REDIS)
#define STORE_SERVERS Served<HttpServer>, Served<EtcdServer>, Served<RedisServer>
#elif defined(USE_ETCD)
#define STORE_SERVERS Served<HttpServer>, Served<EtcdServer>
#elif defined(USE_REDIS)
#define STORE_SERVERS Served<HttpServer>, Served<RedisServer>
#else
#define STORE_SERVERS Served<HttpServer>
#endif
using Servers = ::testing::Types<STORE_SERVERS>;
using Backends = ::testing::Types<STORE_SERVERS, PeerToPeer>;

struct BackendName {
    template <typename Backend>
    static std::string GetName(int) {
#ifdef USE_ETCD
        if (std::is_same_v<Backend, Served<EtcdServer>>) return "Etcd";
#endif
#ifdef USE_REDIS
        if (std::is_same_v<Backend, Served<RedisServer>>) return "Redis";
#endif
        return std::is_same_v<Backend, PeerToPeer> ? "P2p" : "Http";
    }
};
TYPED_TEST_SUITE(MetadataBackendTest, Backends, BackendName);
TYPED_TEST_SUITE(MetadataServerBackendTest, Servers, BackendName);

TYPED_TEST(MetadataBackendTest, WhatOneNodePublishesAnotherReads) {
    const std::string name = this->backend_.newName();
    auto target = this->node(name, "nqn.test:first");
    auto initiator = this->node(this->backend_.newName());
    ASSERT_EQ(target.metadata.addFileBuffer({1, "/a \"b\" \xc3\xa4", 4096, 512}, true), 0);
    ASSERT_EQ(target.metadata.addFileBuffer({2, "/c", uint64_t{1} << 50, 0}, true), 0);
    const auto id = initiator.metadata.getSegmentID(name);
    ASSERT_EQ(id, 1u);
    const auto desc = initiator.metadata.getSegmentDescByID(id);
    EXPECT_EQ(desc->name, name);
    EXPECT_EQ(desc->protocol, "nvmeof_generic");
    EXPECT_EQ(desc->nvmeof_generic_trid.traddr, "10.1.2.3");
    EXPECT_EQ(desc->nvmeof_generic_trid.subnqn, "nqn.test:first");
    ASSERT_EQ(desc->file_buffers.size(), 2u);
    EXPECT_EQ(desc->file_buffers[0].path, "/a \"b\" \xc3\xa4");
    EXPECT_EQ(desc->file_buffers[0].align, 512u);
    EXPECT_EQ(desc->file_buffers[1].size, uint64_t{1} << 50);
    // What came since is there when it is asked for.
    ASSERT_EQ(target.metadata.removeFileBuffer(1, true), 0);
    EXPECT_EQ(initiator.metadata.getSegmentDescByID(id, true)->file_buffers.size(), 1u);
    TransferMetadata::RpcMetaDesc rpc;
    EXPECT_EQ(initiator.metadata.getRpcMetaEntry(name, rpc), 0);
    const auto [host, port] = parseHostNameWithPort(name);
    EXPECT_EQ(rpc.ip_or_host_name, host);
    EXPECT_EQ(rpc.rpc_port, port);
}

TYPED_TEST(MetadataBackendTest, ACleanEndLeavesNothing) {
    const std::string name = this->backend_.newName();
    auto initiator = this->node(this->backend_.newName());
    {
        auto target = this->node(name);
        ASSERT_TRUE(initiator.metadata.getSegmentDesc(name));
        ASSERT_EQ(target.metadata.removeSegmentDesc(name), 0);
        EXPECT_FALSE(initiator.metadata.getSegmentDesc(name));
        EXPECT_EQ(target.metadata.removeSegmentDesc(name), 0) << "it is gone, as asked";
        ASSERT_EQ(target.metadata.updateLocalSegmentDesc(), 0);
        ASSERT_TRUE(initiator.metadata.getSegmentDesc(name));
        ASSERT_EQ(target.metadata.removePublished(), 0);
    }
    EXPECT_FALSE(initiator.metadata.getSegmentDesc(name));
    EXPECT_EQ(initiator.metadata.getSegmentID(name), TransferMetadata::kInvalidSegmentID);
}

// Case 46
TYPED_TEST(MetadataBackendTest, ACrashedProcessComesBackUnderItsName) {
    const std::string name = this->backend_.newName();
    auto initiator = this->node(this->backend_.newName());
    for (const char* nqn : {"nqn.test:first", "nqn.test:second"}) {
        test_support::ChildProcess process(
            {METADATA_NODE_PROGRAM, this->backend_.connString(), name, nqn, "2"});
        ASSERT_EQ(process.waitForLine("ready"), "ready") << process.output();
        const auto desc = initiator.metadata.getSegmentDesc(name);
        ASSERT_TRUE(desc);
        EXPECT_EQ(desc->nvmeof_generic_trid.subnqn, nqn);
        EXPECT_EQ(desc->file_buffers.size(), 2u);
        process.signal(SIGKILL);
        EXPECT_EQ(process.wait(), 128 + SIGKILL);
    }
    auto successor = this->node(name, "nqn.test:third");
    EXPECT_EQ(initiator.metadata.getSegmentDesc(name)->nvmeof_generic_trid.subnqn,
              "nqn.test:third");
}

TYPED_TEST(MetadataBackendTest, ARecordIsNeverHalfRead) {
    const std::string name = this->backend_.newName();
    auto target = this->node(name);
    auto initiator = this->node(this->backend_.newName());
    // Each state is marked in its first and its last file, far apart.
    constexpr size_t kFiles = 2000;
    const auto state = [&](uint64_t mark) {
        auto desc = segment(name, "nqn.test:" + std::to_string(mark));
        for (size_t i = 0; i < kFiles; ++i) {
            desc->file_buffers.push_back(
                {static_cast<uint32_t>(i + 1), std::string(100, 'a'), mark, 0});
        }
        return desc;
    };
    std::atomic<bool> done{false};
    std::thread writer([&] {
        for (uint64_t mark = 1; !done; ++mark) {
            EXPECT_EQ(target.metadata.addLocalSegment(LOCAL_SEGMENT_ID, name, state(mark)), 0);
            EXPECT_EQ(target.metadata.updateLocalSegmentDesc(), 0);
        }
    });
    std::set<std::string> seen;
    EXPECT_TRUE(comesTrue([&] {
        const auto desc = initiator.metadata.getSegmentDesc(name);
        EXPECT_TRUE(desc);
        if (!desc || desc->file_buffers.empty()) return false;
        seen.insert(desc->nvmeof_generic_trid.subnqn);
        EXPECT_EQ(desc->file_buffers.size(), kFiles);
        const uint64_t mark = desc->file_buffers.front().size;
        EXPECT_EQ(desc->file_buffers.back().size, mark);
        EXPECT_EQ(desc->nvmeof_generic_trid.subnqn, "nqn.test:" + std::to_string(mark));
        return seen.size() >= 10;
    })) << "too little changed while it was read";
    done = true;
    writer.join();
}

// Case 44
TYPED_TEST(MetadataBackendTest, ConcurrentRegistrationLosesNoFile) {
    const std::string name = this->backend_.newName();
    auto target = this->node(name);
    auto initiator = this->node(this->backend_.newName());
    constexpr uint32_t kThreads = 4;
    constexpr uint32_t kFiles = 10;
    std::vector<std::thread> threads;
    for (uint32_t thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
            for (uint32_t i = 1; i <= kFiles; ++i) {
                const uint32_t id = thread * kFiles + i;
                EXPECT_EQ(target.metadata.addFileBuffer({id, "/f", id, 0}, true), 0);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    const auto desc = initiator.metadata.getSegmentDesc(name);
    ASSERT_TRUE(desc);
    std::set<uint32_t> ids;
    for (const auto& file : desc->file_buffers) ids.insert(file.id);
    EXPECT_EQ(ids.size(), kThreads * kFiles);
}

TYPED_TEST(MetadataServerBackendTest, KeepsEveryByteOfKeysAndValues) {
    const auto storage = this->backend_.storage();
    std::string key = "mooncake/";
    for (char c = '!'; c <= '~'; ++c) key += c;
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    for (const std::string& value : {bytes, std::string(), std::string("a"), std::string("ab")}) {
        ASSERT_TRUE(storage->set(key, value).ok());
        std::string found = "untouched";
        const auto result = storage->get(key, &found);
        ASSERT_TRUE(result.ok()) << result.error;
        EXPECT_EQ(found, value);
    }
    std::string found = "untouched";
    EXPECT_EQ(storage->get(key + "x", &found).outcome, Outcome::kNotFound);
    EXPECT_EQ(storage->get(key.substr(0, key.size() - 1), &found).outcome, Outcome::kNotFound);
    EXPECT_EQ(found, "untouched");
    EXPECT_TRUE(storage->remove(key).ok());
    EXPECT_EQ(storage->get(key, &found).outcome, Outcome::kNotFound);
    EXPECT_EQ(storage->remove(key).outcome, Outcome::kNotFound);
}

// What lies there, and that alone, decides whether it is changed.
TYPED_TEST(MetadataServerBackendTest, ExchangesOnlyWhatIsAsExpected) {
    const auto storage = this->backend_.storage();
    const std::string key = "mooncake/ram/exchange";
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    using Entry = MetadataStorage::Entry;
    Entry found = "untouched";
    const auto lies = [&](const Entry& wanted) {
        std::string value;
        const auto result = storage->get(key, &value);
        return wanted ? result.ok() && value == *wanted : result.outcome == Outcome::kNotFound;
    };
    for (const Entry& value : {Entry(bytes), Entry(""), Entry("1")}) {
        EXPECT_EQ(storage->exchange(key, "other", value, &found).outcome, Outcome::kConflict);
        EXPECT_EQ(found, std::nullopt);
        EXPECT_TRUE(lies(std::nullopt));
        auto result = storage->exchange(key, std::nullopt, value, &found);
        ASSERT_TRUE(result.ok()) << result.error;
        EXPECT_TRUE(lies(value));
        EXPECT_TRUE(storage->exchange(key, std::nullopt, value, &found).ok()) << "it is there";
        EXPECT_EQ(storage->exchange(key, std::nullopt, "2", &found).outcome, Outcome::kConflict);
        EXPECT_EQ(found, value);
        EXPECT_EQ(storage->exchange(key, "2", std::nullopt, &found).outcome, Outcome::kConflict);
        EXPECT_EQ(storage->exchange(key, "2", "3", &found).outcome, Outcome::kConflict);
        EXPECT_TRUE(lies(value));
        result = storage->exchange(key, value, "4", &found);
        EXPECT_TRUE(result.ok()) << result.error;
        EXPECT_TRUE(lies("4"));
        result = storage->exchange(key, "4", std::nullopt, &found);
        EXPECT_TRUE(result.ok()) << result.error;
        EXPECT_TRUE(lies(std::nullopt));
        EXPECT_TRUE(storage->exchange(key, "4", std::nullopt, &found).ok()) << "it is gone";
    }
}

// One step: of many that count up what they saw, none loses another's count.
TYPED_TEST(MetadataServerBackendTest, ConcurrentExchangesLoseNone) {
    constexpr int kThreads = 4, kCounts = 20;
    const std::string key = "mooncake/ram/count";
    ASSERT_TRUE(this->backend_.storage()->set(key, "0").ok());
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            const auto storage = this->backend_.storage();
            MetadataStorage::Entry seen = "0";
            for (int left = kCounts; left > 0;) {
                // Unlike what any other thread writes, which would count for done.
                const std::string next = std::to_string(std::stoi(*seen) + 1) + "-" +
                                         std::to_string(t) + "-" + std::to_string(left);
                const auto result = storage->exchange(key, seen, next, &seen);
                if (result.ok()) {
                    seen = next;
                    --left;
                } else if (result.outcome != Outcome::kConflict &&
                           result.error.find("changes all the time") == std::string::npos) {
                    ADD_FAILURE() << result.error;
                    return;
                }
            }
        });
    }
    for (auto& thread : threads) thread.join();
    std::string value;
    ASSERT_TRUE(this->backend_.storage()->get(key, &value).ok());
    EXPECT_EQ(std::stoi(value), kThreads * kCounts);
}

// A rolling upgrade that wants no gap: the new process starts, then the old one stops.
TYPED_TEST(MetadataServerBackendTest, WhoLeavesLeavesTheSuccessorsRecords) {
    const std::string name = this->backend_.newName();
    auto initiator = this->node(this->backend_.newName());
    auto old = this->node(name, "nqn.test:old");
    auto successor = this->node(name, "nqn.test:new");
    EXPECT_EQ(old.metadata.addFileBuffer({1, "/a", 4096, 0}, true), ERR_METADATA)
        << "the name is the successor's";
    EXPECT_EQ(old.metadata.removeSegmentDesc(name), 0);
    EXPECT_EQ(old.metadata.removePublished(), 0);
    const auto desc = initiator.metadata.getSegmentDesc(name);
    ASSERT_TRUE(desc);
    EXPECT_EQ(desc->nvmeof_generic_trid.subnqn, "nqn.test:new");
    TransferMetadata::RpcMetaDesc rpc;
    EXPECT_EQ(initiator.metadata.getRpcMetaEntry(name, rpc), 0);
    EXPECT_EQ(rpc.incarnation, desc->incarnation);
    EXPECT_EQ(successor.metadata.removePublished(), 0);
    EXPECT_FALSE(initiator.metadata.getSegmentDesc(name));
}

// Two processes of one name, in two time zones, with clocks hours apart: the first to publish does
// not come back over the second, and where the second leaves the first has its name again.
TYPED_TEST(MetadataServerBackendTest, NoClockDecidesWhoseTheNameIs) {
    const std::string name = this->backend_.newName();
    auto initiator = this->node(this->backend_.newName());
    const auto nqn = [&] {
        const auto desc = initiator.metadata.getSegmentDesc(name);
        return desc ? desc->nvmeof_generic_trid.subnqn : "(none)";
    };
    for (const char* zones : {"EU", "UE"}) {
        const auto start = [&](char zone, const std::string& node_nqn) {
            return std::make_unique<test_support::ChildProcess>(
                std::vector<std::string>{METADATA_NODE_PROGRAM, this->backend_.connString(), name,
                                         node_nqn, "1", "20"},
                std::vector<std::string>{zone == 'E' ? "TZ=<+12>-12" : "TZ=<-12>12"});
        };
        auto first = start(zones[0], "nqn.test:first");
        ASSERT_EQ(first->waitForLine("ready"), "ready") << first->output();
        auto second = start(zones[1], "nqn.test:second");
        ASSERT_EQ(second->waitForLine("ready"), "ready") << second->output();
        EXPECT_NE(first->waitForLine("Another process has published"), "") << first->output();
        // It has looked again and again since.
        for (int i = 0; i < 100; ++i) {
            ASSERT_EQ(nqn(), "nqn.test:second");
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        second->signal(SIGTERM);
        EXPECT_EQ(second->wait(), 0) << second->output();
        EXPECT_TRUE(comesTrue([&] { return nqn() == "nqn.test:first"; }));
        first->signal(SIGTERM);
        EXPECT_EQ(first->wait(), 0) << first->output();
        EXPECT_EQ(nqn(), "(none)");
    }
}

// Case 45: the server is killed in the middle and comes back with nothing, then with what it had.
TYPED_TEST(MetadataServerBackendTest, AServerThatForgetsIsToldAgain) {
    const std::string name = this->backend_.newName();
    auto target = this->node(name, "nqn.test:1", std::chrono::milliseconds(20));
    ASSERT_EQ(target.metadata.addFileBuffer({1, "/a", 4096, 0}, true), 0);
    ASSERT_EQ(target.metadata.addFileBuffer({2, "/b", 4096, 0}, true), 0);
    auto initiator = this->node(this->backend_.newName());
    const auto id = initiator.metadata.getSegmentID(name);
    ASSERT_EQ(id, 1u);
    this->backend_.server.kill();
    EXPECT_FALSE(initiator.metadata.getSegmentDescByID(id, true));
    EXPECT_TRUE(initiator.metadata.getSegmentDescByID(id)) << "what is open stays open";
    // A file that goes while nobody can be told, and one that cannot come.
    EXPECT_EQ(target.metadata.removeFileBuffer(1, true), ERR_METADATA);
    EXPECT_EQ(target.metadata.addFileBuffer({3, "/c", 4096, 0}, true), ERR_METADATA);
    for (const bool forgets : {true, false}) {
        if (forgets) this->backend_.server.wipe();
        this->backend_.server.start();
        EXPECT_TRUE(comesTrue([&] {
            const auto desc = initiator.metadata.getSegmentDesc(name);
            return desc && desc->file_buffers.size() == 1 && desc->file_buffers[0].id == 2;
        }));
        TransferMetadata::RpcMetaDesc rpc;
        EXPECT_TRUE(comesTrue([&] { return initiator.metadata.getRpcMetaEntry(name, rpc) == 0; }));
        this->backend_.server.kill();
    }
    this->backend_.server.start();
    EXPECT_EQ(target.metadata.removePublished(), 0);
    EXPECT_FALSE(initiator.metadata.getSegmentDesc(name));
}

// Case 45: garbage in the store.
TYPED_TEST(MetadataServerBackendTest, GarbageInTheStoreIsAnErrorAndNoMore) {
    const std::string name = this->backend_.newName();
    auto target = this->node(name);
    auto initiator = this->node(this->backend_.newName());
    const auto id = initiator.metadata.getSegmentID(name);
    ASSERT_EQ(id, 1u);
    for (const char* garbage : {"", "{", "null", "[]", "<html>", "{\"name\":1}"}) {
        ASSERT_TRUE(this->backend_.storage()->set("mooncake/ram/" + name, garbage).ok());
        EXPECT_FALSE(initiator.metadata.getSegmentDescByID(id, true)) << garbage;
        EXPECT_TRUE(initiator.metadata.getSegmentDescByID(id)) << "what is open stays open";
    }
    ASSERT_EQ(target.metadata.updateLocalSegmentDesc(), 0);
    EXPECT_TRUE(initiator.metadata.getSegmentDescByID(id, true));
}

// Case 45: the server is down at start, and in the middle.
TYPED_TEST(MetadataServerBackendTest, AServerThatIsDownIsACleanError) {
    const auto storage = this->backend_.storage();
    ASSERT_TRUE(storage->set("key", "before").ok());
    this->backend_.server.kill();
    std::string value = "untouched";
    for (const auto& down : {storage, this->backend_.storage()}) {
        const auto result = down->get("key", &value);
        EXPECT_EQ(result.outcome, Outcome::kFailed);
        EXPECT_THAT(result.error, HasSubstr(std::to_string(this->backend_.server.port())));
        EXPECT_THAT(result.error, HasSubstr("key"));
        EXPECT_THAT(result.error, HasSubstr("3 attempts"));
        EXPECT_EQ(down->set("key", "v").outcome, Outcome::kFailed);
        EXPECT_EQ(down->remove("key").outcome, Outcome::kFailed);
    }
    EXPECT_EQ(value, "untouched");
    // The connections of before are dead; nobody has to know.
    this->backend_.server.start();
    EXPECT_TRUE(storage->set("key", "after").ok());
    ASSERT_TRUE(storage->get("key", &value).ok());
    EXPECT_EQ(value, "after");
}

// Case 45: a server that takes its time.
TYPED_TEST(MetadataServerBackendTest, AServerThatHangsCostsNoMoreThanTheTimeLimit) {
    ASSERT_TRUE(this->backend_.storage()->set("key", "value").ok());
    StoreLimits limits = testLimits();
    limits.total = std::chrono::milliseconds(200);
    std::shared_ptr<MetadataStorage> hasty;
    ASSERT_TRUE(createMetadataStorage(this->backend_.connString(), limits, &hasty).ok());
    this->backend_.server.pause();
    std::string value = "untouched";
    const auto result = hasty->get("key", &value);
    EXPECT_EQ(result.outcome, Outcome::kFailed) << "it answered while it was stopped";
    EXPECT_EQ(value, "untouched");
    this->backend_.server.resume();
    ASSERT_TRUE(this->backend_.storage()->get("key", &value).ok());
    EXPECT_EQ(value, "value");
}

}  // namespace
}  // namespace mooncake::test
