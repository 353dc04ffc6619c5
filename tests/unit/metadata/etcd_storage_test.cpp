// SPDX-License-Identifier: Apache-2.0
// What only etcd has: several endpoints, and a gateway with base64.
#include "etcd_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base64.h"
#include "scripted_server.h"
#include "store_server.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Outcome = MetadataStorage::Outcome;

std::shared_ptr<MetadataStorage> storageAt(const std::string& list,
                                           const StoreLimits& limits = testLimits()) {
    std::shared_ptr<MetadataStorage> storage;
    const Status status = createMetadataStorage(list, limits, &storage);
    EXPECT_TRUE(status.ok()) << status;
    return storage;
}

std::string at(int port) {
    return "127.0.0.1:" + std::to_string(port);
}

// Case 45: endpoints that refuse, and endpoints that are silent.
TEST(EtcdStorageTest, GoesToTheNextEndpoint) {
    EtcdServer server;
    server.start();
    std::string closed;
    {
        ScriptedServer gone([](int) {});
        closed = at(gone.port());
    }
    ScriptedServer silent([](int fd) { ScriptedServer::waitForClose(fd); });
    for (const std::string& list :
         {"etcd://" + closed + "," + at(server.port()),
          "etcd://" + at(server.port()) + "," + closed, closed + ";" + at(server.port())}) {
        const auto storage = storageAt(list);
        EXPECT_TRUE(storage->set("key", list).ok());
        std::string value;
        EXPECT_TRUE(storage->get("key", &value).ok());
        EXPECT_EQ(value, list);
    }
    StoreLimits limits = testLimits();
    limits.total = std::chrono::milliseconds(2000);
    const auto storage = storageAt(at(silent.port()) + "," + at(server.port()), limits);
    std::string value;
    const auto result = storage->get("key", &value);
    EXPECT_TRUE(result.ok()) << result.error;

    server.kill();
    const auto down = storageAt(closed + "," + at(server.port()))->get("key", &value);
    EXPECT_EQ(down.outcome, Outcome::kFailed);
    EXPECT_THAT(down.error, AllOf(HasSubstr(closed), HasSubstr(at(server.port()))))
        << "each endpoint is named";
}

// The value is larger than the server takes: no other endpoint, and no retry, would help.
TEST(EtcdStorageTest, SaysWhatTheServerRefuses) {
    EtcdServer server;
    server.start();
    for (const size_t size : {size_t{1600} << 10, size_t{3} << 20}) {
        const auto result = storageAt(server.connString())->set("key", std::string(size, 'a'));
        EXPECT_EQ(result.outcome, Outcome::kRefused) << result.error;
        EXPECT_THAT(result.error, AllOf(HasSubstr("larger"), HasSubstr("--max-request-bytes")));
    }
}

TEST(EtcdStorageTest, WhatIsNotEtcdIsAnError) {
    for (const std::string& body :
         {std::string(), std::string("{}"), std::string("[]"), std::string("ok"),
          std::string(R"({"header":1})"), std::string(R"({"header":{},"kvs":1})"),
          std::string(R"({"header":{},"kvs":[]})"), std::string(R"({"header":{},"kvs":[1]})"),
          std::string(R"({"header":{},"kvs":[{"value":"*"}]})"),
          std::string(R"({"header":{},"kvs":[{"value":1}]})"),
          std::string(R"({"header":{},"kvs":[{},{}]})")}) {
        ScriptedServer server([&](int fd) {
            ScriptedServer::receiveRequest(fd);
            ScriptedServer::sendText(fd, "HTTP/1.1 200 OK\r\nContent-Length: " +
                                             std::to_string(body.size()) + "\r\n\r\n" + body);
        });
        std::string value = "untouched";
        const auto result = storageAt("etcd://" + at(server.port()))->get("key", &value);
        EXPECT_EQ(result.outcome, Outcome::kFailed) << body;
        EXPECT_EQ(value, "untouched");
    }
}

TEST(EtcdStorageTest, RefusesMalformedAddresses) {
    std::shared_ptr<MetadataStorage> storage;
    for (const char* bad : {"etcd://", "etcd://a:1,", "etcd://,a:1", "etcd://a:0", "etcd://a:b",
                            "etcd://a:65536", "etcd://a/b:1", "etcd://a:1,b c:2", "etcd://[::1",
                            "etcd://[::1]x", "a:1,b:", ":2379", "etcd://u:p@h:1"}) {
        EXPECT_TRUE(createMetadataStorage(bad, StoreLimits(), &storage).IsInvalidArgument()) << bad;
    }
    EXPECT_EQ(storage, nullptr);
    for (const char* good : {"etcd://a", "etcd://a:1,b,[::1]:3", "a:1", "etcd://a_b-c.d:1;e:2"}) {
        EXPECT_TRUE(createMetadataStorage(good, StoreLimits(), &storage).ok()) << good;
    }
}

// RFC 4648, section 10
TEST(Base64Test, WritesAndReadsTheExamples) {
    const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                            {"f", "Zg=="},
                                                            {"fo", "Zm8="},
                                                            {"foo", "Zm9v"},
                                                            {"foob", "Zm9vYg=="},
                                                            {"fooba", "Zm9vYmE="},
                                                            {"foobar", "Zm9vYmFy"},
                                                            {"\xfb\xff", "+/8="}};
    for (const auto& [bytes, text] : examples) {
        EXPECT_EQ(base64Encode(bytes), text);
        std::string decoded;
        EXPECT_TRUE(base64Decode(text, &decoded)) << text;
        EXPECT_EQ(decoded, bytes);
    }
    std::string decoded;
    for (const char* bad : {"Z", "Zg", "Zg=", "Z===", "====", "Zm9v*", "Zg==Zg==", "Zm9\n"}) {
        EXPECT_FALSE(base64Decode(bad, &decoded)) << bad;
    }
}

}  // namespace
}  // namespace mooncake::test
