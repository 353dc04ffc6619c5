// SPDX-License-Identifier: Apache-2.0
// TLS, from both sides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "certificates.h"
#include "child_process.h"
#include "metadata_server_fixture.h"

namespace mooncake::test {
namespace {

using ::testing::HasSubstr;
using Outcome = MetadataStorage::Outcome;

TEST(MetadataServerTest, SpeaksTls) {
    const Certificates made;
    const HttpTls trusts{.ca = made.at("ca.pem"), .cert = "", .key = ""};
    const auto failure = [](const ServerThread& server, const HttpTls& tls) {
        const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/metadata";
        std::string value;
        const auto result = storageWith(url, "", tls)->get("a", &value);
        return result.outcome == Outcome::kNotFound ? "" : result.error;
    };
    ServerThread server(MetadataServer::Options{}, 0, {},
                        {made.at("server.pem"), made.at("server.key"), ""});
    EXPECT_EQ(failure(server, trusts), "");
    const auto storage =
        storageWith("https://127.0.0.1:" + std::to_string(server.port()) + "/metadata", "", trusts);
    const std::string large(5000000, 'x');
    ASSERT_TRUE(storage->set("a", large).ok());
    std::string value;
    ASSERT_TRUE(storage->get("a", &value).ok());
    EXPECT_EQ(value, large);
    // Nobody vouches for it, and nothing goes in the clear.
    EXPECT_THAT(failure(server, {}), HasSubstr("certificate"));
    EXPECT_THAT(failure(server, {.ca = made.at("other.pem"), .cert = "", .key = ""}),
                HasSubstr("certificate"));
    EXPECT_EQ(storageWith(server.url(), "")->get("a", &value).outcome, Outcome::kFailed);

    ServerThread impostor(MetadataServer::Options{}, 0, {},
                          {made.at("elsewhere.pem"), made.at("elsewhere.key"), ""});
    EXPECT_THAT(failure(impostor, trusts), HasSubstr("subject name"))
        << "its certificate is for another host";

    ServerThread strict(MetadataServer::Options{}, 0, {},
                        {made.at("server.pem"), made.at("server.key"), made.at("ca.pem")});
    EXPECT_NE(failure(strict, trusts), "");
    EXPECT_EQ(failure(strict, {made.at("ca.pem"), made.at("client.pem"), made.at("client.key")}),
              "");
    EXPECT_NE(failure(strict, {made.at("ca.pem"), made.at("other.pem"), made.at("other.key")}), "");
    std::string error;
    EXPECT_FALSE(makeTlsContext({made.at("server.pem"), made.at("client.key"), ""}, &error));
    EXPECT_THAT(error, HasSubstr("client.key"));
    EXPECT_FALSE(makeTlsContext({made.at("absent"), made.at("client.key"), ""}, &error));
    EXPECT_THAT(error, HasSubstr("absent"));
}

// A node that is told whom to trust trusts nobody else: here the system's folder of authorities, as
// a node sees it that has a place of its own in the file system, vouches for the server.
TEST(MetadataServerTest, AnAuthorityThatIsNamedIsTheOnlyOne) {
    const Certificates made;
    ServerThread server(MetadataServer::Options{}, 0, {},
                        {made.at("server.pem"), made.at("server.key"), ""});
    const std::string url = "https://127.0.0.1:" + std::to_string(server.port()) + "/metadata";
    const std::string system = made.at("system");
    const std::string prepare = "mkdir " + system + " && cp " + made.at("ca.pem") + " " + system +
                                " && openssl rehash " + system + " && cp " + made.at("other.pem") +
                                " " + system + "/ca-certificates.crt";
    ASSERT_EQ(std::system(prepare.c_str()), 0);
    const auto node = [&](std::vector<std::string> environment) {
        return std::make_unique<test_support::ChildProcess>(
            std::vector<std::string>{"unshare", geteuid() == 0 ? "-m" : "-rm", "sh", "-c",
                                     "mount --bind \"$1\" /etc/ssl/certs && shift && exec \"$@\"",
                                     "sh", system, METADATA_NODE_PROGRAM, url, "node:1", "nqn.x",
                                     "0"},
            std::move(environment));
    };
    const auto trusting = node({});
    EXPECT_EQ(trusting->waitForLine("ready"), "ready") << trusting->output();
    const auto strict = node({"MC_METADATA_CACERT=" + made.at("other.pem")});
    EXPECT_EQ(strict->wait(), 1);
    EXPECT_THAT(strict->output(), HasSubstr("certificate"));
}

// Case 45: a client that begins to speak TLS and stops.
TEST(MetadataServerTest, ASilentHandshakeHasATimeLimit) {
    const Certificates made;
    MetadataServer::Options options = patient();
    options.times.header = std::chrono::milliseconds(50);
    ServerThread server(options, 0, {}, {made.at("server.pem"), made.at("server.key"), ""});
    for (const std::string& said : {std::string(), std::string("\x16\x03\x01")}) {
        DeadlineSocket socket = connectTo(server);
        ASSERT_TRUE(socket.send(said, soon()).ok());
        receiveAll(&socket);
    }
}

// Case 45: nor does a byte now and then make its time longer.
TEST(MetadataServerTest, ADribblingHandshakeHasATimeLimit) {
    const Certificates made;
    MetadataServer::Options options = patient();
    options.times.header = std::chrono::milliseconds(300);
    ServerThread server(options, 0, {}, {made.at("server.pem"), made.at("server.key"), ""});
    DeadlineSocket socket = connectTo(server);
    // Of a handshake's record of 16 KiB.
    Status status = socket.send(std::string("\x16\x03\x01\x40\x00", 5), soon());
    const auto begin = std::chrono::steady_clock::now();
    while (status.ok() && std::chrono::steady_clock::now() - begin < std::chrono::seconds(30)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        status = socket.send("x", soon());
    }
    EXPECT_FALSE(status.ok()) << "it is still open";
}

}  // namespace
}  // namespace mooncake::test
