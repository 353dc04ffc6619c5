// SPDX-License-Identifier: Apache-2.0
// What is etcd's own: answers that get lost, servers that go, a full or forgetful server, logins.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "backends.h"
#include "base64.h"
#include "certificates.h"
#include "entries.h"
#include "etcd_rpc.grpc.pb.h"
#include "http_client.h"
#include "store_server.h"
#include "tcp_proxy.h"
#include "variable.h"

namespace mooncake::store::test {
namespace {

using mooncake::test::Certificates;
using mooncake::test::EtcdServer;
using mooncake::test::Variable;
using testing::HasSubstr;

DirectoryOptions impatient() {
    DirectoryOptions options = longLease();
    options.attempt = std::chrono::milliseconds(500);
    return options;
}

uint32_t freeIn(Directory& directory, FileNumber file) {
    const auto free = directory.freeRegions(soon());
    EXPECT_DONE(free);
    for (const FreeRegions& one : *free) {
        if (one.file == file) return one.clean;
    }
    return ~0u;
}

template <class Condition>
void waitUntil(const Condition& condition) {
    while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

struct EtcdTest : testing::Test {
    EtcdTest() { server.start(); }

    EtcdServer server;
};

// The server has done it and nobody has heard of it: the same call finds that out.
TEST_F(EtcdTest, ACommitWhoseAnswerWasLostIsFoundOut) {
    TcpProxy proxy(server.port());
    const auto witness = openDirectory(server.connString());
    Node one(proxy.address());
    const Region region = one.take();
    ASSERT_EQ(one.put("other", entryIn(region)), ChangeOutcome::kDone);
    proxy.swallowAnswers();
    auto outcome =
        std::async(std::launch::async, [&] { return one.put("key", entryIn(region, 4096)); });
    waitUntil([&]() -> bool { return witness->exists({"key"}, nullptr, soon())->at(0); });
    proxy.cut();
    EXPECT_EQ(outcome.get(), ChangeOutcome::kDone);
    EXPECT_GT(one.directory->statistics().repeats, 0u);
    EXPECT_EQ(one.get("key"), entryIn(region, 4096));

    // Its time is up before it is found out; who asks again later learns the same.
    proxy.swallowAnswers();
    const auto late = one.directory->commit({{"late", entryIn(region, 8192)}},
                                            in(std::chrono::milliseconds(700)));
    EXPECT_FAILS(late, Failure::kTimeout);
    proxy.cut();
    EXPECT_EQ(one.put("late", entryIn(region, 8192)), ChangeOutcome::kDone);
}

TEST_F(EtcdTest, ARegionWhoseAnswerWasLostIsTakenOnce) {
    TcpProxy proxy(server.port());
    const auto witness = openDirectory(server.connString());
    Node one(proxy.address());
    proxy.swallowAnswersTo("/s/r/");  // that takes it, not that which looks for one
    auto region = std::async(std::launch::async, [&] { return one.take(); });
    waitUntil([&] { return freeIn(*witness, one.file) == 31; });
    EXPECT_TRUE(proxy.swallows());
    proxy.cut();
    const Region taken = region.get();
    EXPECT_EQ(freeIn(*witness, one.file), 31u);
    EXPECT_EQ(one.put("key", entryIn(taken)), ChangeOutcome::kDone);
}

// More than a transaction can compare. Whoever does not know yet that its lease has ended has no
// region any more.
TEST_F(EtcdTest, AnObjectInManyRegionsIsAClients) {
    Node one(server.connString());
    const ObjectEntry entry = entryInMany(one, 150);
    const auto leases = etcdserverpb::Lease::NewStub(grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(server.port()), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(static_cast<int64_t>(one.client));
    etcdserverpb::LeaseRevokeResponse response;
    ASSERT_TRUE(leases->LeaseRevoke(&context, request, &response).ok());
    EXPECT_EQ(one.put("key", entry), ChangeOutcome::kRegionLost);
    EXPECT_FALSE(one.get("key"));
}

TEST_F(EtcdTest, AServerThatDoesNotAnswerIsPassedOver) {
    TcpProxy silent(0);
    const uint16_t nobody = mooncake::test::freePort();
    const std::string address = silent.address() + ",127.0.0.1:" + std::to_string(nobody) +
                                ",127.0.0.1:" + std::to_string(server.port());
    Node one(address, "node", impatient());
    EXPECT_EQ(one.put("key", entryIn(one.take())), ChangeOutcome::kDone);
    EXPECT_EQ(one.directory->statistics().failovers, 2u) << "and then it stays";
    auto watch = one.directory->watch(soon());
    ASSERT_DONE(watch);
    EXPECT_TRUE((*watch)->next(soon())->complete);
}

TEST_F(EtcdTest, AServerThatIsAwayIsAnErrorInTime) {
    Node one(server.connString());
    const Region region = one.take();
    server.kill();
    const auto outcome =
        one.directory->commit({{"key", entryIn(region)}}, in(std::chrono::milliseconds(300)));
    ASSERT_FALSE(outcome);
    EXPECT_THAT(outcome.error().message, HasSubstr("127.0.0.1:"));
    EXPECT_FALSE(Directory::open(server.connString(), longLease(), in(std::chrono::seconds(1))));
    server.start();
    EXPECT_EQ(one.put("key", entryIn(region)), ChangeOutcome::kDone);
}

TEST_F(EtcdTest, EverythingGoesOnAfterARestart) {
    Node one(server.connString());
    const Region region = one.take();
    auto watch = one.directory->watch(soon());
    ASSERT_DONE(watch);
    ASSERT_TRUE((*watch)->next(soon())->complete);
    ASSERT_TRUE((*watch)->next(in(std::chrono::milliseconds(1)))->empty());
    ASSERT_EQ(one.put("before", entryIn(region)), ChangeOutcome::kDone);
    server.kill();
    auto outcome =
        std::async(std::launch::async, [&] { return one.put("during", entryIn(region, 4096)); });
    server.start();
    EXPECT_EQ(outcome.get(), ChangeOutcome::kDone);
    EXPECT_EQ(one.get("before"), entryIn(region));
    EXPECT_EQ(one.directory->lease().client, one.client);
    const Region next = one.take();
    bool told = false;
    while (!told) {
        const auto changes = (*watch)->next(soon());
        ASSERT_DONE(changes);
        ASSERT_FALSE(changes->empty());
        for (const Region& changed : changes->regions) told = told || changed.id == next.id;
    }
}

// Set back to a state from before, or to none at all.
TEST_F(EtcdTest, AServerThatForgotEverythingIsNoticed) {
    Node one(server.connString(), "node", shortLease());
    const Region region = one.take();
    auto watch = one.directory->watch(soon());
    ASSERT_DONE(watch);
    ASSERT_EQ((*watch)->next(soon())->files.size(), 1u);
    ASSERT_EQ(one.put("key", entryIn(region)), ChangeOutcome::kDone);
    server.kill();
    server.wipe();
    server.start();
    const auto changes = (*watch)->next(soon());
    ASSERT_DONE(changes);
    EXPECT_TRUE(changes->complete);
    EXPECT_TRUE(changes->files.empty());
    EXPECT_FALSE(one.get("key"));
    const auto outcomes = one.directory->commit({{"key", entryIn(region)}}, soon());
    if (outcomes) {
        EXPECT_EQ(outcomes->at(0), ChangeOutcome::kRegionLost);
    } else {
        EXPECT_EQ(outcomes.error().failure, Failure::kLeaseLost) << outcomes.error().message;
    }
    waitUntil([&] { return one.directory->lease().client == 0; });
    EXPECT_FAILS(one.directory->takeRegion(one.file, soon()), Failure::kLeaseLost);
}

void compact(const EtcdServer& server, int64_t revision) {
    const auto stub = etcdserverpb::KV::NewStub(grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(server.port()), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    etcdserverpb::CompactionRequest request;
    request.set_revision(revision);
    request.set_physical(true);
    etcdserverpb::CompactionResponse response;
    const auto status = stub->Compact(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(EtcdTest, WhatWasCompactedIsReadAgain) {
    Node one(server.connString());
    auto watch = one.directory->watch(soon());
    ASSERT_DONE(watch);
    ASSERT_TRUE((*watch)->next(soon())->complete);
    Node more(server.connString());
    const Region region = one.take();
    compact(server, static_cast<int64_t>(region.last_used));
    const auto changes = (*watch)->next(soon());
    ASSERT_DONE(changes);
    EXPECT_TRUE(changes->complete);
    EXPECT_EQ(changes->files.size(), 2u);
    const auto findings = one.directory->check(soon());
    ASSERT_DONE(findings);
    EXPECT_THAT(*findings, testing::Contains(
                               testing::Field(&Finding::text, HasSubstr("history is compacted"))));
}

TEST(EtcdSpaceTest, AFullServerSaysSoAndIsStillRead) {
    EtcdServer server("http", {"--quota-backend-bytes=4194304"});
    server.start();
    Node one(server.connString());
    const Region region = one.take();
    ASSERT_EQ(one.put("small", entryIn(region)), ChangeOutcome::kDone);
    ObjectEntry entry;
    entry.replicas.emplace_back();
    for (uint64_t i = 0; i < 5000; ++i) {
        entry.replicas[0].push_back(
            makeExtent(region.id.file, region.id.index, region.generation, i * 400, 400));
    }
    entry.size = 5000 * 400;
    std::optional<Error> error;
    for (int i = 0; i < 1000 && !error; ++i) {
        const auto outcomes = one.directory->commit({{"large" + std::to_string(i), entry}}, soon());
        if (!outcomes) error = outcomes.error();
    }
    ASSERT_TRUE(error);
    EXPECT_EQ(error->failure, Failure::kFull);
    EXPECT_THAT(error->message, HasSubstr("--quota-backend-bytes"));
    EXPECT_TRUE(one.get("small"));
    EXPECT_THAT(*one.directory->remove({"large0"}, soon()), testing::ElementsAre(true))
        << "that makes room";
    const auto findings = one.directory->check(soon());
    ASSERT_DONE(findings);
    EXPECT_THAT(*findings,
                testing::Contains(testing::Field(&Finding::severity, Finding::Severity::kError)));
}

// @return the answer
std::string post(const EtcdServer& server, const std::string& path, const std::string& body) {
    HttpResponse response;
    const auto status = HttpClient(mooncake::test::testLimits())
                            .request(HttpMethod::kPost, server.url() + "/v3/auth/" + path, body,
                                     std::chrono::milliseconds(20000), &response, "");
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.status, 200) << path << ": " << response.body;
    return response.body;
}

TEST(EtcdAccessTest, LogsInToTheDirectory) {
    EtcdServer server("http", {"--bcrypt-cost=4"});
    server.start();
    post(server, "user/add", R"({"name":"root","password":"r"})");
    post(server, "user/add", R"({"name":"node","password":"secret"})");
    post(server, "user/grant", R"({"user":"root","role":"root"})");
    post(server, "role/add", R"({"name":"store"})");
    post(server, "role/grant",
         R"({"name":"store","perm":{"permType":"READWRITE","key":")" +
             base64Encode("mooncake_store/default/") + R"(","range_end":")" +
             base64Encode("mooncake_store/default0") + "\"}}");
    post(server, "user/grant", R"({"user":"node","role":"store"})");
    const auto complaint = [&](const std::string& store) {
        const auto opened = Directory::open(server.connString() + store, longLease(), soon());
        EXPECT_FAILS(opened, Failure::kRefused);
        return opened ? "" : opened.error().message;
    };
    const Variable user("MC_ETCD_USERNAME", "node");
    const Variable password("MC_ETCD_PASSWORD", "secret");
    {
        const Node before(server.connString());  // nobody has to log in yet
        post(server, "enable", "{}");
    }
    Node one(server.connString());
    EXPECT_EQ(one.put("key", entryIn(one.take())), ChangeOutcome::kDone);
    server.kill();  // and forgets the token
    server.start();
    EXPECT_TRUE(one.get("key"));
    EXPECT_EQ(one.put("other", entryIn(one.take())), ChangeOutcome::kDone);
    EXPECT_THAT(complaint("/elsewhere"), HasSubstr("grant the user's role"));
    {
        const Variable wrong("MC_ETCD_PASSWORD", "guessed");
        EXPECT_THAT(complaint(""), testing::AllOf(HasSubstr("authentication failed"),
                                                  testing::Not(HasSubstr("guessed"))));
    }
    const Variable nobody("MC_ETCD_USERNAME", "");
    const Variable nothing("MC_ETCD_PASSWORD", "");
    EXPECT_THAT(complaint(""), HasSubstr("MC_ETCD_USERNAME"));
}

TEST(EtcdAccessTest, ProvesItselfToTheDirectoryByCertificates) {
    const Certificates made;
    EtcdServer server(
        "https", {"--cert-file=" + made.at("server.pem"), "--key-file=" + made.at("server.key"),
                  "--client-cert-auth", "--trusted-ca-file=" + made.at("ca.pem")});
    const auto opens = [&] {
        return Directory::open(server.connString(), longLease(), in(std::chrono::seconds(3)))
            .has_value();
    };
    const Variable ca("MC_ETCD_CACERT", made.at("ca.pem"));
    {
        const Variable cert("MC_ETCD_CERT", made.at("client.pem"));
        const Variable key("MC_ETCD_KEY", made.at("client.key"));
        server.start();
        Node one(server.connString());
        EXPECT_EQ(one.put("key", entryIn(one.take())), ChangeOutcome::kDone);
        const Variable stranger("MC_ETCD_CACERT", made.at("other.pem"));
        EXPECT_FALSE(opens()) << "a server that nobody vouches for";
    }
    EXPECT_FALSE(opens()) << "no certificate of its own";
    const Variable cert("MC_ETCD_CERT", made.at("other.pem"));
    const Variable key("MC_ETCD_KEY", made.at("other.key"));
    EXPECT_FALSE(opens()) << "one of another authority";
}

TEST_F(EtcdTest, OtherVersionsAreNotGuessed) {
    ASSERT_NE(openDirectory(server.connString()), nullptr);
    HttpResponse response;
    const auto status =
        HttpClient(mooncake::test::testLimits())
            .request(HttpMethod::kPost, server.url() + "/v3/kv/put",
                     R"({"key":")" + base64Encode("mooncake_store/default/id") + R"(","value":")" +
                         base64Encode("\x02" + std::string(16, 'x')) + "\"}",
                     std::chrono::milliseconds(20000), &response, "");
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_FAILS(Directory::open(server.connString(), longLease(), soon()), Failure::kUnsupported);
}

}  // namespace
}  // namespace mooncake::store::test
