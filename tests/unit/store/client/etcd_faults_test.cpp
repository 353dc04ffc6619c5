// SPDX-License-Identifier: Apache-2.0
// What can become of etcd, seen through clients: in all of it right bytes or none.
#include <grpcpp/grpcpp.h>

#include <set>

#include "child_process.h"
#include "directory.h"
#include "etcd_rpc.grpc.pb.h"
#include "nodes.h"
#include "store_server.h"
#include "tcp_proxy.h"

namespace mooncake::test {
namespace {

using store::test::TcpProxy;
using test_support::ChildProcess;
using ::testing::AnyOf;
using ::testing::Eq;
using ::testing::HasSubstr;

namespace rpc = ::etcdserverpb;

constexpr size_t kSize = 300000;

bool isOfDirectory(ErrorCode code) {
    return code == ErrorCode::RPC_FAIL || code == ErrorCode::RPC_TIMEOUT;
}

class EtcdFaultsTest : public testing::Test {
 protected:
    explicit EtcdFaultsTest(std::vector<std::string> options = {})
        : server("http", std::move(options)) {
        server.start();
    }

    // @param address  of etcd, or of who stands before it
    ClientOptions options(const std::string& address, const std::string& name) const {
        return nodeOptions("etcd://" + address + "/pool", name);
    }
    std::string direct() const { return "127.0.0.1:" + std::to_string(server.port()); }
    std::shared_ptr<Client> node(const std::string& name) const {
        return join(options(direct(), name));
    }
    std::string fileFor(const std::string& name, size_t regions = 8) const {
        return folder.file(name, kMiB + regions * 4 * kMiB);
    }
    std::shared_ptr<Client> nodeWithFile(const std::string& name, size_t regions = 8) const {
        auto client = node(name);
        EXPECT_EQ(mount(*client, fileFor(name, regions)), ErrorCode::OK) << Client::LastError();
        return client;
    }

    // As an operator does.
    std::shared_ptr<grpc::Channel> channel() const {
        return grpc::CreateChannel(direct(), grpc::InsecureChannelCredentials());
    }
    void compact() const {
        rpc::StatusResponse status;
        {
            grpc::ClientContext context;
            ASSERT_TRUE(rpc::Maintenance::NewStub(channel())->Status(&context, {}, &status).ok());
        }
        rpc::CompactionRequest request;
        request.set_revision(status.header().revision());
        request.set_physical(true);
        grpc::ClientContext context;
        rpc::CompactionResponse response;
        const auto done = rpc::KV::NewStub(channel())->Compact(&context, request, &response);
        EXPECT_TRUE(done.ok()) << done.error_message();
    }
    void makeSpace() const {
        compact();
        {
            grpc::ClientContext context;
            rpc::DefragmentResponse response;
            EXPECT_TRUE(
                rpc::Maintenance::NewStub(channel())->Defragment(&context, {}, &response).ok());
        }
        const auto maintenance = rpc::Maintenance::NewStub(channel());
        rpc::AlarmResponse alarms;
        {
            grpc::ClientContext context;
            ASSERT_TRUE(maintenance->Alarm(&context, {}, &alarms).ok());
        }
        for (const auto& alarm : alarms.alarms()) {
            rpc::AlarmRequest request;
            request.set_action(rpc::AlarmRequest::DEACTIVATE);
            request.set_memberid(alarm.memberid());
            request.set_alarm(alarm.alarm());
            grpc::ClientContext context;
            rpc::AlarmResponse response;
            EXPECT_TRUE(maintenance->Alarm(&context, request, &response).ok());
        }
    }

    EtcdServer server;
    Folder folder;
};

// Nobody knows whether the directory has heard of the mount: soon it has heard of its end.
TEST_F(EtcdFaultsTest, ALostAnswerToAMountLeavesNoMount) {
    TcpProxy proxy(server.port());
    ClientOptions hurried = options(proxy.address(), "one");
    hurried.timeout = std::chrono::seconds(3);
    const auto one = join(hurried);
    const auto other = node("other");
    const std::string path = fileFor("a file of its own");
    proxy.swallowAnswersTo(path);
    EXPECT_PRED1(isOfDirectory, mount(*one, path));
    EXPECT_TRUE(proxy.swallows());
    ASSERT_TRUE(knowsFiles(*other, 1)) << "it was mounted after all";
    proxy.cut();
    EXPECT_TRUE(knowsFiles(*other, 0));
    EXPECT_EQ(mount(*other, path), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(put(*one, "key", kSize), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*other, "key", kSize), ErrorCode::OK);
}

TEST_F(EtcdFaultsTest, AnUnmountThatTheDirectoryDidNotHearOfIsToldLater) {
    TcpProxy proxy(server.port());
    ClientOptions hurried = options(proxy.address(), "one");
    hurried.timeout = std::chrono::seconds(3);
    const auto one = join(hurried);
    const auto other = node("other");
    const std::string path = fileFor("one");
    ASSERT_EQ(mount(*one, path), ErrorCode::OK);
    ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    proxy.setDown(true);
    EXPECT_PRED1(isOfDirectory, one->UnmountFileSegment(path).error());
    proxy.setDown(false);
    EXPECT_EQ(mount(*other, path), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(get(*other, "key", kSize), ErrorCode::OK);
}

TEST_F(EtcdFaultsTest, WithoutItNobodyStarts) {
    server.kill();
    ClientOptions hurried = options(direct(), "one");
    hurried.timeout = std::chrono::seconds(1);
    const auto none = Client::Create(hurried);
    ASSERT_FALSE(none);
    EXPECT_PRED1(isOfDirectory, none.error());
    EXPECT_THAT(Client::LastError(), HasSubstr(direct()));
    server.start();
    const auto one = nodeWithFile("one");
    EXPECT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK);
}

// Whether a copy is bad or has gone, nobody can tell then; the other one is good.
TEST_F(EtcdFaultsTest, WithoutItAnotherCopyIsRead) {
    ClientOptions hurried = options(direct(), "one");
    hurried.timeout = std::chrono::seconds(2);
    const auto one = join(hurried);
    ASSERT_EQ(mount(*one, fileFor("one")), ErrorCode::OK);
    const auto two = nodeWithFile("two");
    ASSERT_TRUE(knowsFiles(*one, 2));
    ReplicateConfig both;
    both.replica_num = 2;
    ASSERT_EQ(put(*one, "key", kSize, both), ErrorCode::OK);
    const auto query = one->Query("key");
    ASSERT_TRUE(query && query->replicas.size() == 2);
    for (const auto& copy : query->replicas) {
        if (copy.segment != one->GetTransportEndpoint()) continue;
        flip(folder.path() + "/one", placeOf(copy.extents.at(0)));
    }
    server.kill();
    EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK) << Client::LastError();
    EXPECT_EQ(one->Statistics().failovers, 1u);
    server.start();
    // It is taken out as soon as that can be.
    EXPECT_TRUE(eventually([&] {
        EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK);
        return one->Statistics().replicas_dropped == 1;
    }));
}

// Slow is not gone.
TEST_F(EtcdFaultsTest, ASlowOneIsWaitedFor) {
    TcpProxy proxy(server.port());
    ClientOptions slow = options(proxy.address(), "one");
    slow.lease = std::chrono::seconds(20);
    const auto one = join(slow);
    ASSERT_EQ(mount(*one, fileFor("one")), ErrorCode::OK);
    proxy.delayAnswers(std::chrono::milliseconds(150));
    for (int i = 0; i < 3; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(put(*one, key, kSize), ErrorCode::OK) << Client::LastError();
        ASSERT_EQ(get(*one, key, kSize), ErrorCode::OK);
        ASSERT_TRUE(exists(*one, key));
    }
    EXPECT_EQ(one->Statistics().leases_lost, 0u);
    EXPECT_EQ(one->Statistics().put_failures, 0u);
}

// A node that was cut off goes on from a revision that there is no more.
TEST_F(EtcdFaultsTest, WhatWasCompactedMeanwhileIsKnownAllTheSame) {
    TcpProxy proxy(server.port());
    const auto one = join(options(proxy.address(), "one"));
    ASSERT_EQ(mount(*one, fileFor("one")), ErrorCode::OK);
    ASSERT_TRUE(knowsFiles(*one, 1));
    proxy.setDown(true);
    const auto two = nodeWithFile("two");
    ASSERT_EQ(put(*two, "key", kSize), ErrorCode::OK);
    compact();
    proxy.setDown(false);
    EXPECT_TRUE(knowsFiles(*one, 2));
    EXPECT_EQ(get(*one, "key", kSize), ErrorCode::OK);
}

// Set back by a restore: what was put since is lost, what was evicted since is in the directory
// again, and the numbers of files that came since are given a second time.
TEST_F(EtcdFaultsTest, ADirectoryThatWasSetBackGivesRightBytesOrNone) {
    TcpProxy proxy(server.port());
    ClientOptions early = options(direct(), "one"), late = options(proxy.address(), "two");
    early.lease = late.lease = std::chrono::seconds(4);
    const auto one = join(early);
    ASSERT_EQ(mount(*one, fileFor("one")), ErrorCode::OK);
    std::vector<std::string> keys;
    const auto putSome = [&](Client& client, const std::string& prefix, int count) {
        for (int i = 0; i < count; ++i) {
            keys.push_back(prefix + std::to_string(i));
            ASSERT_EQ(put(client, keys.back(), kSize), ErrorCode::OK) << Client::LastError();
        }
    };
    putSome(*one, "old", 40);
    server.kill();
    server.save();
    server.start();
    ASSERT_TRUE(eventually([&] { return one->HealthCheck().has_value(); }));
    // All that was there is evicted.
    putSome(*one, "since", 150);
    EXPECT_EQ(get(*one, "old0", kSize), ErrorCode::OBJECT_NOT_FOUND);
    const auto two = join(late);
    ASSERT_EQ(mount(*two, fileFor("two")), ErrorCode::OK);
    ASSERT_TRUE(knowsFiles(*one, 2));
    putSome(*two, "more", 20);

    server.kill();
    proxy.setDown(true);
    server.restore();
    server.start();
    const auto three = nodeWithFile("three");
    proxy.setDown(false);
    // Each node's file is there, under whatever number.
    ASSERT_TRUE(knowsFiles(*one, 3) && knowsFiles(*two, 3) && knowsFiles(*three, 3));
    for (const auto& client : {one, two, three}) {
        for (const auto& key : keys) {
            EXPECT_THAT(get(*client, key, kSize),
                        AnyOf(Eq(ErrorCode::OK), Eq(ErrorCode::OBJECT_NOT_FOUND),
                              Eq(ErrorCode::CHECKSUM_MISMATCH)))
                << key << " " << Client::LastError();
        }
    }
    for (const auto& client : {two, three, one}) {
        ASSERT_TRUE(eventually([&] { return client->HealthCheck().has_value(); }));
        keys.clear();
        putSome(*client, client->GetTransportEndpoint() + "/", 30);
        for (const auto& key : keys) {
            EXPECT_EQ(get(*client, key, kSize), ErrorCode::OK) << key << " " << Client::LastError();
        }
    }
}

// Emptied, it is another store's: nobody goes on in it as if nothing had been.
TEST_F(EtcdFaultsTest, NobodyJoinsADirectoryThatWasEmptied) {
    ClientOptions short_lived = options(direct(), "one");
    short_lived.lease = std::chrono::seconds(4);
    short_lived.timeout = std::chrono::seconds(3);
    const auto one = join(short_lived);
    ASSERT_EQ(mount(*one, fileFor("one")), ErrorCode::OK);
    ASSERT_EQ(put(*one, "key", kSize), ErrorCode::OK);
    server.kill();
    server.wipe();
    server.start();
    ASSERT_TRUE(eventually([&] { return one->Statistics().leases_lost == 1; }));
    EXPECT_EQ(put(*one, "other", kSize), ErrorCode::RPC_FAIL);
    EXPECT_THAT(Client::LastError(), HasSubstr("emptied or replaced"));
    const auto two = node("two");
    EXPECT_TRUE(knowsFiles(*two, 0));
    EXPECT_EQ(put(*one, "other", kSize), ErrorCode::RPC_FAIL) << "also when there is a new one";
}

class EtcdSpaceTest : public EtcdFaultsTest {
 protected:
    EtcdSpaceTest() : EtcdFaultsTest({"--quota-backend-bytes=4194304"}) {}
};

TEST_F(EtcdSpaceTest, AFullDirectorySaysSoAndIsReadOn) {
    const auto one = nodeWithFile("one", 16);
    ASSERT_EQ(put(*one, "first", kSize), ErrorCode::OK);
    char byte = 'x';
    std::vector<Slice> slices{{&byte, 1}};
    // Entries with long keys, which fill it soon.
    const auto keyOf = [](int i) { return std::to_string(i) + std::string(4000, '/'); };
    int count = 0;
    ErrorCode last = ErrorCode::OK;
    for (; count < 5000 && last == ErrorCode::OK; count += 100) {
        std::vector<std::string> keys;
        for (int i = 0; i < 100; ++i) keys.push_back(keyOf(count + i));
        std::vector<std::vector<Slice>> lists(keys.size(), slices);
        for (const auto& result : one->BatchPut(keys, lists, {})) {
            if (!result) last = result.error();
        }
    }
    ASSERT_EQ(last, ErrorCode::NO_AVAILABLE_HANDLE);
    EXPECT_THAT(Client::LastError(), HasSubstr("--quota-backend-bytes"));
    // Nobody waits for room that no eviction makes.
    const auto before = one->Statistics();
    std::vector<std::string> keys;
    for (int i = 0; i < 50; ++i) keys.push_back("of a batch " + std::to_string(i));
    std::vector<std::vector<Slice>> lists(keys.size(), slices);
    for (const auto& result : one->BatchPut(keys, lists, {})) {
        EXPECT_EQ(result.error(), ErrorCode::NO_AVAILABLE_HANDLE);
    }
    EXPECT_EQ(one->Statistics().put_failures, before.put_failures + 50);
    EXPECT_EQ(one->Statistics().put_waits, before.put_waits);

    EXPECT_EQ(get(*one, "first", kSize), ErrorCode::OK);
    EXPECT_TRUE(exists(*one, "first"));
    const auto reader = one->Query(keyOf(0));
    EXPECT_TRUE(reader) << Client::LastError();
    for (int i = 0; i < count / 2; ++i) ASSERT_TRUE(one->Remove(keyOf(i))) << i;
    makeSpace();
    ASSERT_TRUE(eventually([&] { return put(*one, "again", kSize) == ErrorCode::OK; }))
        << Client::LastError();
    EXPECT_EQ(get(*one, "again", kSize), ErrorCode::OK);
    EXPECT_EQ(one->Statistics().leases_lost, 0u);
}

// A writer that is killed at a chosen point of its commit.
class CommitTest : public EtcdFaultsTest {
 protected:
    CommitTest() { setenv("MC_LOCAL_TRANSPORT_FOLDER", folder.path().c_str(), 1); }
    ~CommitTest() override { unsetenv("MC_LOCAL_TRANSPORT_FOLDER"); }

    void start(const std::string& node) {
        child = std::make_unique<ChildProcess>(
            std::vector<std::string>{STORE_CHILD_PROGRAM, "etcd://" + proxy.address() + "/pool",
                                     "2000", "", node, "child/"},
            std::vector<std::string>{"MC_LOCAL_TRANSPORT_FOLDER=" + folder.path()});
        ASSERT_NE(child->waitForLine("put 2"), "") << child->output();
    }
    // @return the key that it was putting
    std::string killed() {
        child->signal(SIGKILL);
        child->wait();
        child->waitForLine("no such line", std::chrono::seconds(5));
        const size_t at = child->output().rfind("put ");
        return "child/" + std::to_string(std::atoi(child->output().c_str() + at + 4) + 1);
    }
    // What it was filling is sealed, and everything goes on.
    void expectToGoOn(Client& client) {
        EXPECT_TRUE(eventually([&] { return client.Statistics().regions_sealed >= 1; }));
        for (int i = 0; i < 60; ++i) {
            ASSERT_EQ(put(client, "more" + std::to_string(i), 2 * kMiB), ErrorCode::OK);
        }
        EXPECT_EQ(get(client, "more59", 2 * kMiB), ErrorCode::OK);
        EXPECT_EQ(client.Statistics().checksum_failures, 0u);
    }

    std::shared_ptr<Client> survivor() {
        auto client = join(shortLived(options(direct(), "survivor")));
        EXPECT_EQ(mount(*client, fileFor("one", 16)), ErrorCode::OK) << Client::LastError();
        return client;
    }

    // Only commits put that key.
    static constexpr char kCommit[] = "/written";
    TcpProxy proxy{server.port()};
    std::unique_ptr<ChildProcess> child;
};

TEST_F(CommitTest, BeforeItThereIsNoObject) {
    const auto client = survivor();
    start("survivor");
    proxy.swallowRequestsFrom(kCommit);
    ASSERT_TRUE(eventually([&] { return proxy.swallowsRequests(); }));
    const std::string key = killed();
    EXPECT_EQ(get(*client, key, kChildBytes), ErrorCode::OBJECT_NOT_FOUND);
    EXPECT_FALSE(exists(*client, key));
    // What counts as used is what was committed.
    ASSERT_TRUE(eventually([&] { return client->Statistics().regions_sealed >= 1; }));
    const auto look = store::Directory::open(server.connString() + "/pool", {},
                                             std::chrono::steady_clock::now() + kForever);
    const auto use = (*look)->usage(1, std::chrono::steady_clock::now() + kForever);
    const auto committed = static_cast<uint64_t>(std::atoi(key.substr(6).c_str()));
    EXPECT_EQ(use->use, (store::RegionUse{committed * kChildBytes, committed}));
    EXPECT_EQ(put(*client, key, kChildBytes), ErrorCode::OK);
    EXPECT_EQ(get(*client, key, kChildBytes), ErrorCode::OK);
    expectToGoOn(*client);
}

TEST_F(CommitTest, InItThereIsAWholeOneOrNone) {
    const auto client = survivor();
    start("survivor");
    proxy.swallowAnswersTo(kCommit);
    ASSERT_TRUE(eventually([&] { return proxy.swallows(); }));
    server.pause();
    const std::string key = killed();
    server.resume();
    ASSERT_TRUE(eventually([&] { return client->HealthCheck().has_value(); }));
    EXPECT_THAT(get(*client, key, kChildBytes),
                AnyOf(Eq(ErrorCode::OK), Eq(ErrorCode::OBJECT_NOT_FOUND)));
    expectToGoOn(*client);
}

TEST_F(CommitTest, AfterItThereIsTheObject) {
    const auto client = survivor();
    start("survivor");
    proxy.swallowAnswersTo(kCommit);
    ASSERT_TRUE(eventually([&] { return proxy.swallows(); }));
    // Nobody has told it.
    const auto last = [&] {
        child->waitForLine("no such line", std::chrono::seconds(0));
        const size_t at = child->output().rfind("put ");
        return std::atoi(child->output().c_str() + at + 4);
    };
    const std::string next = "child/" + std::to_string(last() + 1);
    ASSERT_TRUE(eventually([&] { return exists(*client, next); })) << next;
    EXPECT_EQ(killed(), next);
    EXPECT_EQ(get(*client, next, kChildBytes), ErrorCode::OK);
    expectToGoOn(*client);
}

}  // namespace
}  // namespace mooncake::test
