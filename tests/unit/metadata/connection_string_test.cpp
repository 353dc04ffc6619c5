// SPDX-License-Identifier: Apache-2.0
// Connection strings as people write them, right and wrong.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "error.h"
#include "log_lines.h"
#include "metadata_storage.h"
#include "scripted_server.h"
#include "transfer_metadata.h"

namespace mooncake {
namespace {

using test::ScriptedServer;
using test_support::LogLines;

std::string refusalOf(const std::string& address) {
    std::shared_ptr<MetadataStorage> storage;
    const Status status = createMetadataStorage(address, StoreLimits(), &storage);
    EXPECT_EQ(status.ok(), storage != nullptr) << address;
    return status.ok() ? "" : status.ToString();
}

TEST(ConnectionStringTest, RightOnesAreTaken) {
    std::vector<std::string> right = {"http://h:8080/metadata", "https://h/metadata",
                                      "http://[::1]:8080/metadata", "P2PHANDSHAKE"};
#ifdef USE_ETCD
    right.insert(right.end(), {"etcd://a:2379", "a:2379", "etcd://a:2379;b:2379;c:2379",
                               "etcd://[fd00::1]:2379,[fd00::2]:2379", "etcd://https://a:2379"});
#endif
#ifdef USE_REDIS
    right.insert(right.end(), {"redis://h:6379", "redis://h", "redis://[::1]:6379"});
#endif
    for (const std::string& address : right) EXPECT_EQ(refusalOf(address), "") << address;
}

// Each error names what is wrong, or what there is.
TEST(ConnectionStringTest, WrongOnesAreErrors) {
    std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "is empty"},
        {"rediss://h:6379", "is malformed"},
        {"zookeeper://h:1", "is malformed"},
        {"h", "is malformed"},
        {"p2phandshake", "is malformed"},
        {"http://", ""},
        {"http:/h:8080/m", ""},
    };
#ifdef USE_ETCD
    wrong.insert(wrong.end(), {{"etcd://a:2379/", "etcd address"},
                               {"etcd://a:2379/metadata", "etcd address"},
                               {"etcd://a:2379,", "etcd address"},
                               {"etcd://a:2379 b:2379", "etcd address"},
                               {"etcd://user:secret@a:2379", "MC_ETCD_USERNAME"}});
#endif
#ifdef USE_REDIS
    wrong.insert(wrong.end(), {{"redis://h:6379/0", ""}, {"redis://h:6379,i:6379", ""}});
#endif
    for (const auto& [address, cause] : wrong) {
        const std::string refusal = refusalOf(address);
        EXPECT_NE(refusal, "") << address;
        EXPECT_NE(refusal.find(cause), std::string::npos) << address << ": " << refusal;
        EXPECT_EQ(refusal.find("secret"), std::string::npos) << refusal;
    }
}

/// Publishes a segment with a store that refuses; @return what is logged.
std::string logOfPublishing(const std::string& address, int* rc) {
    const LogLines log;
    TransferMetadata metadata(address);
    auto descriptor = std::make_shared<TransferMetadata::SegmentDesc>();
    descriptor->name = "node";
    descriptor->protocol = "nvmeof_generic";
    EXPECT_EQ(metadata.addLocalSegment(LOCAL_SEGMENT_ID, "node", std::move(descriptor)), 0);
    *rc = metadata.updateLocalSegmentDesc();
    return log.text();
}

// The server's own words, and nothing of an entry that another process has left: there is none.
void expectAnswer(const std::string& address, const std::string& answer) {
    int rc = 0;
    const std::string log = logOfPublishing(address, &rc);
    EXPECT_EQ(rc, ERR_METADATA);
    EXPECT_NE(log.find(answer), std::string::npos) << log;
    EXPECT_EQ(log.find("left by another process"), std::string::npos) << log;
}

// etcd's own port, or a path that nobody serves.
TEST(ConnectionStringTest, AnHttpServerOfAnotherKind) {
    ScriptedServer server([](int fd) {
        while (!ScriptedServer::receiveRequest(fd).empty()) {
            ScriptedServer::sendText(fd,
                                     "HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n"
                                     "404 page not found\n");
        }
    });
    expectAnswer(server.url(), "404");
}

#ifdef USE_REDIS
// A replica, and a node of a cluster.
TEST(ConnectionStringTest, ARedisThatMayNotBeWrittenTo) {
    for (const std::string answer :
         {"READONLY You can't write against a read only replica.", "MOVED 3999 127.0.0.1:6381"}) {
        ScriptedServer server([&](int fd) {
            char buffer[4096];
            while (recv(fd, buffer, sizeof(buffer), 0) > 0) {
                ScriptedServer::sendText(fd, "-" + answer + "\r\n");
            }
        });
        expectAnswer("redis://127.0.0.1:" + std::to_string(server.port()),
                     answer.substr(0, answer.find(' ')));
    }
}
#endif

}  // namespace
}  // namespace mooncake
