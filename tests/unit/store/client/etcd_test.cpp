// SPDX-License-Identifier: Apache-2.0
// The store with its directory in etcd, and what becomes of it when etcd is away.
#include "nodes.h"
#include "store_server.h"

namespace mooncake::test {
namespace {

class EtcdTest : public testing::Test {
 protected:
    EtcdTest() { server.start(); }

    std::shared_ptr<Client> node(const std::string& name, std::chrono::milliseconds timeout,
                                 size_t regions) {
        ClientOptions options = nodeOptions(server.connString() + "/pool", name);
        options.timeout = timeout;
        auto client = join(options);
        EXPECT_EQ(mount(*client, folder.file(name, kMiB + regions * 4 * kMiB)), ErrorCode::OK)
            << Client::LastError();
        return client;
    }

    EtcdServer server;
    Folder folder;
};

TEST_F(EtcdTest, NodesShareAPool) {
    const auto one = node("one", kForever, 8);
    const auto two = node("two", kForever, 8);
    ASSERT_TRUE(knowsFiles(*one, 2) && knowsFiles(*two, 2));
    ReplicateConfig config;
    config.replica_num = 2;
    ASSERT_EQ(put(*one, "both", 300000, config), ErrorCode::OK);
    EXPECT_EQ(get(*two, "both", 300000), ErrorCode::OK);
    EXPECT_EQ(two->Query("both")->replicas.size(), 2u);
    // A full pool takes every put.
    for (int i = 0; i < 150; ++i) {
        const std::string key = "key" + std::to_string(i);
        ASSERT_EQ(put(i % 2 == 0 ? *one : *two, key, 500000), ErrorCode::OK) << i;
        ASSERT_EQ(get(i % 2 == 0 ? *two : *one, key, 500000), ErrorCode::OK) << i;
    }
    // Which ones have gone for that depends on when their last reading was told of.
    size_t gone = 0;
    for (int i = 0; i < 150; ++i) {
        const ErrorCode code = get(*one, "key" + std::to_string(i), 500000);
        gone += code == ErrorCode::OBJECT_NOT_FOUND ? 1 : 0;
        EXPECT_TRUE(code == ErrorCode::OK || code == ErrorCode::OBJECT_NOT_FOUND) << i;
    }
    EXPECT_GT(gone, 10u);
    EXPECT_GT(one->RemoveAll().value(), 10);
    EXPECT_FALSE(exists(*two, "key149"));
    EXPECT_EQ(one->Statistics().checksum_failures + two->Statistics().checksum_failures, 0u);
}

TEST_F(EtcdTest, WithoutTheDirectoryWhatIsRememberedCanBeRead) {
    const auto one = node("one", std::chrono::seconds(3), 8);
    ASSERT_EQ(put(*one, "key", 300000), ErrorCode::OK);
    server.kill();
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
    const auto isOfDirectory = [](ErrorCode code) {
        return code == ErrorCode::RPC_FAIL || code == ErrorCode::RPC_TIMEOUT;
    };
    EXPECT_PRED1(isOfDirectory, get(*one, "another", 300000));
    EXPECT_PRED1(isOfDirectory, put(*one, "another", 300000));
    EXPECT_PRED1(isOfDirectory, one->IsExist("key").error());
    EXPECT_PRED1(isOfDirectory, one->Remove("key").error());
    EXPECT_PRED1(isOfDirectory, one->HealthCheck().error());
    server.start();
    ASSERT_TRUE(eventually([&] { return put(*one, "another", 300000) == ErrorCode::OK; }));
    EXPECT_EQ(get(*one, "another", 300000), ErrorCode::OK);
    EXPECT_EQ(get(*one, "key", 300000), ErrorCode::OK);
}

// It answers nothing for longer than a call takes, in the middle of puts: what the caller was told
// is there is there, and of the others each is right or not there.
TEST_F(EtcdTest, WhatWasCommittedWithoutAnAnswerIsFoundOut) {
    const auto one = node("one", std::chrono::seconds(3), 16);
    std::atomic<bool> stop{false};
    std::vector<ErrorCode> told;
    std::thread putting([&] {
        for (int i = 0; !stop; ++i) told.push_back(put(*one, "key" + std::to_string(i), 50000));
    });
    ASSERT_TRUE(eventually([&] { return one->Statistics().stored >= 5; }));
    server.pause();
    ASSERT_TRUE(eventually([&] { return one->Statistics().put_failures >= 1; }));
    server.resume();
    const auto stored = one->Statistics().stored;
    ASSERT_TRUE(eventually([&] { return one->Statistics().stored > stored; }));
    stop = true;
    putting.join();
    for (size_t i = 0; i < told.size(); ++i) {
        const std::string key = "key" + std::to_string(i);
        const ErrorCode now = get(*one, key, 50000);
        if (told[i] == ErrorCode::OK) {
            EXPECT_EQ(now, ErrorCode::OK) << i;
        } else {
            EXPECT_TRUE(now == ErrorCode::OK || now == ErrorCode::OBJECT_NOT_FOUND) << now;
            // The same put again comes to the same end.
            EXPECT_EQ(put(*one, key, 50000), ErrorCode::OK);
            EXPECT_EQ(get(*one, key, 50000), ErrorCode::OK);
        }
    }
}

}  // namespace
}  // namespace mooncake::test
