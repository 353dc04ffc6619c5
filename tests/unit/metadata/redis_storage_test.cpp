// SPDX-License-Identifier: Apache-2.0
// What only Redis has: users, passwords, numbered databases, and replies of its own protocol.
#include "redis_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstdlib>

#include "certificates.h"
#include "scripted_server.h"
#include "store_server.h"
#include "variable.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Outcome = MetadataStorage::Outcome;

constexpr const char* kVariables[] = {"MC_REDIS_USERNAME", "MC_REDIS_PASSWORD",
                                      "MC_REDIS_DB_INDEX"};

class RedisStorageTest : public ::testing::Test {
 protected:
    ~RedisStorageTest() override {
        for (const char* variable : kVariables) unsetenv(variable);
    }
    static std::shared_ptr<MetadataStorage> storageWith(const RedisServer& server,
                                                        const std::string& user,
                                                        const std::string& password,
                                                        const std::string& database) {
        setenv("MC_REDIS_USERNAME", user.c_str(), 1);
        setenv("MC_REDIS_PASSWORD", password.c_str(), 1);
        setenv("MC_REDIS_DB_INDEX", database.c_str(), 1);
        return server.storage();
    }
};

TEST_F(RedisStorageTest, LogsInAsItsUser) {
    RedisServer server({"--requirepass", "of the default", "--user", "alice", "on", ">wonder", "~*",
                        "+@all", "--user", "reader", "on", ">r", "~*", "+get"});
    server.start();
    for (const auto& [user, password] : {std::pair{"", "of the default"}, {"alice", "wonder"}}) {
        const auto storage = storageWith(server, user, password, "");
        EXPECT_TRUE(storage->set("key", user).ok());
        std::string value;
        EXPECT_TRUE(storage->get("key", &value).ok());
        EXPECT_EQ(value, user);
    }
    for (const auto& [user, password] :
         {std::pair{"", "wrong secret"}, {"alice", "wrong secret"}, {"nobody", "wonder"}}) {
        const auto result = storageWith(server, user, password, "")->set("key", "stranger");
        EXPECT_EQ(result.outcome, Outcome::kRefused);
        EXPECT_THAT(result.error, AllOf(HasSubstr("AUTH"), HasSubstr("MC_REDIS_PASSWORD"),
                                        Not(HasSubstr("secret")), Not(HasSubstr("wonder"))));
    }
    const auto anonymous = storageWith(server, "", "", "")->set("key", "stranger");
    EXPECT_EQ(anonymous.outcome, Outcome::kRefused);
    EXPECT_THAT(anonymous.error, AllOf(HasSubstr("NOAUTH"), HasSubstr("MC_REDIS_PASSWORD")));
    const auto reader = storageWith(server, "reader", "r", "");
    EXPECT_EQ(reader->set("key", "stranger").outcome, Outcome::kRefused);
    std::string value;
    EXPECT_TRUE(reader->get("key", &value).ok());
    EXPECT_EQ(value, "alice");
}

TEST_F(RedisStorageTest, TakesItsLoginFromFiles) {
    RedisServer server({"--user", "alice", "on", ">wonder land", "~*", "+@all"});
    server.start();
    const Folder folder;
    const Variable user("MC_REDIS_USERNAME_FILE", folder.write("user", "alice\n"));
    {
        const Variable password("MC_REDIS_PASSWORD_FILE", folder.write("right", "wonder land\n"));
        const auto result = server.storage()->set("key", "value");
        EXPECT_TRUE(result.ok()) << result.error;
        const Variable both("MC_REDIS_PASSWORD", "wonder land");
        std::shared_ptr<MetadataStorage> storage;
        const Status status = createMetadataStorage("redis://h:1", StoreLimits(), &storage);
        EXPECT_TRUE(status.IsInvalidArgument());
        EXPECT_THAT(status.ToString(),
                    AllOf(HasSubstr("MC_REDIS_PASSWORD_FILE"), Not(HasSubstr("wonder"))));
    }
    const Variable password("MC_REDIS_PASSWORD_FILE", folder.write("wrong", "guessed"));
    EXPECT_EQ(server.storage()->set("key", "value").outcome, Outcome::kRefused);
}

TEST_F(RedisStorageTest, NumberedDatabasesAreApart) {
    RedisServer server;
    server.start();
    const auto zero = storageWith(server, "", "", "0");
    const auto three = storageWith(server, "", "", "3");
    ASSERT_TRUE(three->set("key", "three").ok());
    std::string value;
    EXPECT_EQ(zero->get("key", &value).outcome, Outcome::kNotFound);
    EXPECT_TRUE(three->get("key", &value).ok());
    // The server has sixteen.
    const auto result = storageWith(server, "", "", "200")->get("key", &value);
    EXPECT_EQ(result.outcome, Outcome::kRefused);
    EXPECT_THAT(result.error, HasSubstr("MC_REDIS_DB_INDEX"));
}

// Case 50
TEST_F(RedisStorageTest, RefusesMalformedSettings) {
    std::shared_ptr<MetadataStorage> storage;
    for (const char* index : {"256", "-1", "one", "1 ", "0x1", "99999999999999999999"}) {
        setenv("MC_REDIS_DB_INDEX", index, 1);
        const Status status = createMetadataStorage("redis://h:1", StoreLimits(), &storage);
        EXPECT_TRUE(status.IsInvalidArgument()) << index;
        EXPECT_THAT(status.ToString(),
                    AllOf(HasSubstr("MC_REDIS_DB_INDEX"), HasSubstr("0 to 255")));
    }
    unsetenv("MC_REDIS_DB_INDEX");
    setenv("MC_REDIS_USERNAME", "alice", 1);
    EXPECT_TRUE(createMetadataStorage("redis://h:1", StoreLimits(), &storage).IsInvalidArgument());
    unsetenv("MC_REDIS_USERNAME");
    for (const char* bad :
         {"redis://", "redis://h:0", "redis://h:65536", "redis://h:", "redis://a b:1",
          "redis://h:1/3", "redis://h:1,i:2", "redis://[::1:1", "redis://::1"}) {
        EXPECT_TRUE(createMetadataStorage(bad, StoreLimits(), &storage).IsInvalidArgument()) << bad;
    }
    const Status secret = createMetadataStorage("redis://me:secret@h:1", StoreLimits(), &storage);
    EXPECT_TRUE(secret.IsInvalidArgument());
    EXPECT_THAT(secret.ToString(), Not(HasSubstr("secret")));
    EXPECT_EQ(storage, nullptr);
    EXPECT_TRUE(createMetadataStorage("redis://h", StoreLimits(), &storage).ok());
    EXPECT_TRUE(createMetadataStorage("redis://[::1]:1", StoreLimits(), &storage).ok());
}

// Case 45: a server that answers garbage, or without end, or goes away.
TEST_F(RedisStorageTest, WhatIsNotRedisIsAnError) {
    StoreLimits limits = testLimits();
    limits.answer_bytes = 1000;
    for (const std::string& answer :
         {std::string("HTTP/1.1 200 OK\r\n\r\n"), std::string("$-2\r\n"), std::string("*2\r\n+a"),
          std::string("$5\r\nab"), std::string(), std::string(":1\r\n"),
          std::string("$1\r\na\r\n$1\r\nb\r\n"), "$5000\r\n" + std::string(5000, 'a') + "\r\n",
          std::string("$99999999999999999999\r\n")}) {
        ScriptedServer server([&](int fd) {
            char buffer[4096];
            if (recv(fd, buffer, sizeof(buffer), 0) > 0) ScriptedServer::sendText(fd, answer);
        });
        std::shared_ptr<MetadataStorage> storage;
        ASSERT_TRUE(createMetadataStorage("redis://127.0.0.1:" + std::to_string(server.port()),
                                          limits, &storage)
                        .ok());
        std::string value = "untouched";
        const auto result = storage->get("key", &value);
        EXPECT_EQ(result.outcome, Outcome::kFailed) << answer;
        EXPECT_FALSE(result.error.empty());
        EXPECT_EQ(value, "untouched");
    }
}

// A server that sends a byte now and then would hold up one that counts from each byte.
TEST_F(RedisStorageTest, TheTimeLimitIsThatOfTheWholeReply) {
    ScriptedServer server([](int fd) {
        ScriptedServer::sendText(fd, "$100000\r\n");
        while (ScriptedServer::sendText(fd, "a")) {
            pollfd closed = {fd, POLLRDHUP, 0};
            poll(&closed, 1, 20);
            if ((closed.revents & POLLRDHUP) != 0) return;
        }
    });
    StoreLimits limits = testLimits();
    limits.total = std::chrono::milliseconds(300);
    std::shared_ptr<MetadataStorage> storage;
    ASSERT_TRUE(createMetadataStorage("redis://127.0.0.1:" + std::to_string(server.port()), limits,
                                      &storage)
                    .ok());
    std::string value;
    const auto result = storage->get("key", &value);
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_THAT(result.error, HasSubstr("timed out"));
}

TEST_F(RedisStorageTest, WaitsForAServerThatIsLoading) {
    int asked = 0;
    ScriptedServer server([&](int fd) {
        char buffer[4096];
        while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
            ScriptedServer::sendText(fd, ++asked < 3 ? "-LOADING\r\n" : "$5\r\nvalue\r\n");
        }
    });
    std::shared_ptr<MetadataStorage> storage;
    ASSERT_TRUE(createMetadataStorage("redis://127.0.0.1:" + std::to_string(server.port()),
                                      testLimits(), &storage)
                    .ok());
    std::string value;
    const auto result = storage->get("key", &value);
    EXPECT_TRUE(result.ok()) << result.error;
    EXPECT_EQ(value, "value");
    storage.reset();
}

}  // namespace
}  // namespace mooncake::test
