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
    explicit ServerThread(const KeyValueStore::Limits& limits = {}, int port = 0,
                          const MetadataServer::Times& times = {})
        : server_(limits, times) {
        std::string error;
        EXPECT_TRUE(server_.bind("127.0.0.1", port, &error)) << error;
        thread_ = std::thread([this] { EXPECT_TRUE(server_.serve()); });
    }
    ~ServerThread() {
        server_.stop();
        thread_.join();
    }

    int port() const { return server_.port(); }
    std::string url(const std::string& path = "/metadata") const {
        return "http://127.0.0.1:" + std::to_string(server_.port()) + path;
    }

 private:
    MetadataServer server_;
    std::thread thread_;
};

}  // namespace mooncake::test
