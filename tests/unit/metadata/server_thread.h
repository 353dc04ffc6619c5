// SPDX-License-Identifier: Apache-2.0
// A metadata server inside the test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "metadata_server.h"

namespace mooncake::test {

class ServerThread {
 public:
    explicit ServerThread(const KeyValueStore::Limits& limits = {}, int port = 0)
        : ServerThread(MetadataServer::Options{.store = limits}, port) {}
    explicit ServerThread(const MetadataServer::Options& options, int port = 0,
                          const AccessList::Tokens& tokens = {}, const ServerTls& tls = {},
                          const std::string& host = "127.0.0.1")
        : server_(options) {
        std::string error;
        server_.setTokens(tokens);
        if (!tls.cert.empty()) {
            const TlsContext context = makeTlsContext(tls, &error);
            EXPECT_TRUE(context) << error;
            server_.setTls(context);
        }
        EXPECT_TRUE(server_.bind(host, port, &error)) << error;
        thread_ = std::thread([this] { EXPECT_TRUE(server_.serve()); });
    }
    ~ServerThread() {
        server_.stop();
        thread_.join();
    }

    MetadataServer& server() { return server_; }
    int port() const { return server_.port(); }
    std::string url(const std::string& path = "/metadata") const {
        return "http://127.0.0.1:" + std::to_string(server_.port()) + path;
    }

 private:
    MetadataServer server_;
    std::thread thread_;
};

}  // namespace mooncake::test
