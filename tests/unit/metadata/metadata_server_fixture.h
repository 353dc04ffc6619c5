// SPDX-License-Identifier: Apache-2.0
// What tests of the metadata server ask it with.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "deadline_socket.h"
#include "http_storage.h"
#include "server_thread.h"

namespace mooncake::test {

inline long statusOf(HttpMethod method, const std::string& url, const std::string& body = "",
                     std::string* answer = nullptr) {
    HttpResponse response;
    HttpClient client{StoreLimits()};
    const Status status =
        client.request(method, url, body, std::chrono::milliseconds(10000), &response);
    EXPECT_TRUE(status.ok()) << status;
    if (answer != nullptr) *answer = response.body;
    return response.status;
}

inline DeadlineSocket::Time soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(60);
}

inline DeadlineSocket connectTo(const ServerThread& server) {
    DeadlineSocket socket;
    EXPECT_TRUE(socket.connect({"127.0.0.1", static_cast<uint16_t>(server.port())}, soon()).ok());
    return socket;
}

// What comes until the other side closes.
inline std::string receiveAll(DeadlineSocket* socket) {
    std::string bytes;
    Status status;
    while (status.ok()) status = socket->receive(65536, soon(), &bytes);
    EXPECT_EQ(status.message().find("timed out"), std::string_view::npos) << "it is still open";
    return bytes;
}

inline constexpr char kBegunHeader[] = "PUT /metadata?key=a HTTP/1.1\r\nX: ";
inline constexpr char kBegunBody[] =
    "PUT /metadata?key=a HTTP/1.1\r\nContent-Length: 8000000\r\n\r\n";
inline constexpr char kWhole[] = "GET /health HTTP/1.1\r\n\r\n";

// No time limit that a test reaches.
inline MetadataServer::Options patient() {
    constexpr std::chrono::hours kLong(1);
    return {.times = {.idle = kLong, .leisure = kLong, .header = kLong, .body = kLong}};
}

// The nodes' own program, as it is started: with a token, or with another.
inline std::shared_ptr<MetadataStorage> storageWith(const std::string& url,
                                                    const std::string& token,
                                                    const HttpTls& tls = {}) {
    std::unique_ptr<HttpStorage> storage;
    std::shared_ptr<BearerToken> bearer;
    if (!token.empty()) bearer = std::make_shared<BearerToken>(SecretText(token), "");
    EXPECT_TRUE(HttpStorage::create(url, tls, bearer, StoreLimits(), &storage).ok());
    return storage;
}

}  // namespace mooncake::test
