// SPDX-License-Identifier: Apache-2.0
// An etcd that lets in only whom it knows: certificates, users.
#include "etcd_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "certificates.h"
#include "http_client.h"
#include "scripted_server.h"
#include "store_server.h"
#include "variable.h"

namespace mooncake::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Outcome = MetadataStorage::Outcome;

Status create(const std::string& address, std::shared_ptr<MetadataStorage>* storage) {
    return createMetadataStorage(address, testLimits(), storage);
}

std::string complaint(const std::string& address) {
    std::shared_ptr<MetadataStorage> storage;
    const Status status = create(address, &storage);
    EXPECT_TRUE(status.IsInvalidArgument()) << status;
    return std::string(status.message());
}

MetadataStorage::Result get(const std::string& address) {
    std::shared_ptr<MetadataStorage> storage;
    const Status status = create(address, &storage);
    EXPECT_TRUE(status.ok()) << status;
    std::string value;
    return storage->get("key", &value);
}

// @return the answer
std::string post(const EtcdServer& server, const std::string& path, const std::string& body,
                 const std::string& token = "") {
    HttpResponse response;
    const Status status = HttpClient(testLimits())
                              .request(HttpMethod::kPost, server.url() + "/v3/auth/" + path, body,
                                       std::chrono::milliseconds(20000), &response, token);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(response.status, 200) << path << ": " << response.body;
    return response.body;
}

TEST(EtcdAccessTest, ProvesItselfByCertificates) {
    const Certificates made;
    EtcdServer server(
        "https", {"--cert-file=" + made.at("server.pem"), "--key-file=" + made.at("server.key"),
                  "--client-cert-auth", "--trusted-ca-file=" + made.at("ca.pem")});
    const Variable ca("MC_ETCD_CACERT", made.at("ca.pem"));
    {
        const Variable cert("MC_ETCD_CERT", made.at("client.pem"));
        const Variable key("MC_ETCD_KEY", made.at("client.key"));
        server.start();
        const auto storage = server.storage();
        EXPECT_TRUE(storage->set("key", "value").ok());
        std::string value;
        const auto result = storage->get("key", &value);
        EXPECT_TRUE(result.ok()) << result.error;
        EXPECT_EQ(value, "value");

        const Variable stranger("MC_ETCD_CACERT", made.at("other.pem"));
        const auto refused = get(server.connString());
        EXPECT_EQ(refused.outcome, Outcome::kFailed) << "a server that nobody vouches for";
        EXPECT_THAT(refused.error, HasSubstr("certificate"));
    }
    const auto nobody = get(server.connString());
    EXPECT_EQ(nobody.outcome, Outcome::kFailed) << "no certificate of its own";
    const Variable cert("MC_ETCD_CERT", made.at("other.pem"));
    const Variable key("MC_ETCD_KEY", made.at("other.key"));
    EXPECT_EQ(get(server.connString()).outcome, Outcome::kFailed) << "one of another authority";
}

TEST(EtcdAccessTest, LogsIn) {
    EtcdServer server("http", {"--bcrypt-cost=4"});
    server.start();
    // A quote in a password is part of it.
    post(server, "user/add", R"({"name":"root","password":"r"})");
    post(server, "user/add", R"({"name":"node","password":"se\"cret"})");
    post(server, "user/grant", R"({"user":"root","role":"root"})");
    post(server, "role/add", R"({"name":"mooncake"})");
    // "key" to "kez"
    post(server, "role/grant",
         R"({"name":"mooncake","perm":{"permType":"READWRITE","key":"a2V5","range_end":"a2V6"}})");
    post(server, "user/grant", R"({"user":"node","role":"mooncake"})");

    const Variable user("MC_ETCD_USERNAME", "node");
    const Variable password("MC_ETCD_PASSWORD", "se\"cret");
    const auto storage = server.storage();
    EXPECT_TRUE(storage->set("key", "before").ok()) << "nobody has to log in yet";
    post(server, "enable", "{}");
    std::string value;
    auto result = storage->get("key", &value);
    EXPECT_TRUE(result.ok()) << result.error;
    result = storage->set("key", "value");
    EXPECT_TRUE(result.ok()) << result.error;

    // Whose password is set, be it to what it was, has to log in again.
    const std::string answer = post(server, "authenticate", R"({"name":"root","password":"r"})");
    constexpr std::string_view kBefore = "\"token\":\"";
    const size_t begin = answer.find(kBefore) + kBefore.size();
    const std::string token = answer.substr(begin, answer.find('"', begin) - begin);
    post(server, "user/changepw", R"({"name":"node","password":"se\"cret"})", token);
    result = storage->get("key", &value);
    EXPECT_TRUE(result.ok()) << result.error;
    EXPECT_EQ(value, "value");

    server.kill();
    server.start();
    result = storage->get("key", &value);
    EXPECT_TRUE(result.ok()) << result.error;

    result = storage->get("elsewhere", &value);
    EXPECT_EQ(result.outcome, Outcome::kRefused) << result.error;
    EXPECT_THAT(result.error, HasSubstr("grant the user's role"));
    {
        const Variable wrong("MC_ETCD_PASSWORD", "guessed");
        result = get(server.connString());
        EXPECT_EQ(result.outcome, Outcome::kRefused);
        EXPECT_THAT(result.error,
                    AllOf(HasSubstr("authentication failed"), Not(HasSubstr("guess"))));
    }
    const Variable nobody("MC_ETCD_USERNAME", "");
    const Variable nothing("MC_ETCD_PASSWORD", "");
    result = get(server.connString());
    EXPECT_EQ(result.outcome, Outcome::kRefused);
    EXPECT_THAT(result.error, HasSubstr("set MC_ETCD_USERNAME and MC_ETCD_PASSWORD"));
}

TEST(EtcdAccessTest, TakesItsLoginFromFiles) {
    const Folder folder;
    EtcdAccess access;
    {
        const Variable user("MC_ETCD_USERNAME_FILE", folder.write("user", "node\n"));
        const Variable password("MC_ETCD_PASSWORD_FILE", folder.write("password", "se cret\r\n"));
        ASSERT_TRUE(EtcdAccess::fromEnvironment(&access).ok());
        EXPECT_EQ(access.user.view(), "node");
        EXPECT_EQ(access.password.view(), "se cret");
        const Variable both("MC_ETCD_PASSWORD", "secret");
        EXPECT_THAT(complaint("etcd://a:1"),
                    AllOf(HasSubstr("MC_ETCD_PASSWORD_FILE are set"), Not(HasSubstr("secret"))));
    }
    const Variable user("MC_ETCD_USERNAME", "node");
    const Variable open("MC_ETCD_PASSWORD_FILE", folder.write("open", "p", 0644));
    EXPECT_THAT(complaint("etcd://a:1"), AllOf(HasSubstr("MC_ETCD_PASSWORD_FILE"),
                                               HasSubstr(folder.at("open")), HasSubstr("chmod")));
}

// What answers to the login may be somebody else's; what it gives must not become a header of its
// own in what is sent to others.
TEST(EtcdAccessTest, ATokenIsNoMoreThanAToken) {
    const Variable user("MC_ETCD_USERNAME", "node");
    const Variable password("MC_ETCD_PASSWORD", "p");
    for (const char* token :
         {"x\\r\\nX-Evil: yes", "x\\nX-Evil: yes", "x X-Evil", "", "x\\u0000"}) {
        std::string requests;
        ScriptedServer server([&](int fd) {
            for (std::string request; !(request = ScriptedServer::receiveRequest(fd)).empty();) {
                requests += request;
                const std::string body = request.find("/v3/auth/") != std::string::npos
                                             ? "{\"token\":\"" + std::string(token) + "\"}"
                                             : "{\"header\":{}}";
                ScriptedServer::sendText(fd, "HTTP/1.1 200 OK\r\nContent-Length: " +
                                                 std::to_string(body.size()) + "\r\n\r\n" + body);
            }
        });
        const auto result = get("etcd://127.0.0.1:" + std::to_string(server.port()));
        EXPECT_EQ(result.outcome, Outcome::kFailed) << token;
        EXPECT_THAT(result.error, HasSubstr("no token"));
        EXPECT_THAT(requests, AllOf(HasSubstr("/v3/auth/authenticate"), Not(HasSubstr("X-Evil")),
                                    Not(HasSubstr("/v3/kv/"))));
    }
}

// Case 50
TEST(EtcdAccessTest, RefusesHalfOfASetting) {
    const std::string tls = "etcd://https://a:1", plain = "etcd://a:1";
    {
        const Variable user("MC_ETCD_USERNAME", "u");
        EXPECT_THAT(complaint(plain), HasSubstr("MC_ETCD_USERNAME is set and MC_ETCD_PASSWORD is"));
    }
    {
        const Variable password("MC_ETCD_PASSWORD", "secret");
        EXPECT_THAT(complaint(plain),
                    AllOf(HasSubstr("MC_ETCD_PASSWORD is set and"), Not(HasSubstr("secret"))));
    }
    {
        const Variable key("MC_ETCD_KEY", "/dev/null");
        EXPECT_THAT(complaint(tls), HasSubstr("MC_ETCD_KEY is set and MC_ETCD_CERT is not"));
    }
    {
        const Variable ca("MC_ETCD_CACERT", "/no/such/file");
        EXPECT_THAT(complaint(tls), HasSubstr("'/no/such/file', which cannot be read: No such"));
    }
    {
        const Variable ca("MC_ETCD_CACERT", "/dev/null");
        EXPECT_THAT(complaint(plain), HasSubstr("asks for no TLS"));
        std::shared_ptr<MetadataStorage> storage;
        EXPECT_TRUE(create("etcd://https://a,https://[::1]:3", &storage).ok());
    }
    EXPECT_THAT(complaint("etcd://https://a:1,b:2"), HasSubstr("with and without https://"));
    EXPECT_THAT(complaint("etcd://https://"), HasSubstr("malformed endpoint"));
    EXPECT_THAT(complaint("etcd://u:secret@a:1"),
                AllOf(HasSubstr("MC_ETCD_USERNAME"), Not(HasSubstr("secret"))));
}

}  // namespace
}  // namespace mooncake::test
