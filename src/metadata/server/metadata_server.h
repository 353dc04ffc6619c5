// SPDX-License-Identifier: Apache-2.0
// The HTTP side of the metadata server.
//
//   GET    /metadata?key=K   200 and the value, or 404
//   PUT    /metadata?key=K   200; 413 for a value beyond the limit, 507 for one key too many
//   DELETE /metadata?key=K   200, or 404
//   GET    /health           200
// Each state of an entry has an entity tag, which GET and PUT answer as ETag. With If-Match or
// If-None-Match (RFC 9110), PUT and DELETE answer 412 and change nothing where it is not as asked.
// 400 where the key is missing, empty or too long. Values are bytes; they are answered as
// application/json.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "key_value_store.h"

namespace mooncake {

class MetadataServer {
 public:
    // How long a client may take, from its first byte on, however many bytes it sends meanwhile.
    struct Times {
        std::chrono::milliseconds header{5000};
        std::chrono::milliseconds body{30000};  // from the end of the header on
    };

    explicit MetadataServer(const KeyValueStore::Limits& limits)
        : MetadataServer(limits, Times()) {}
    MetadataServer(const KeyValueStore::Limits& limits, const Times& times);
    ~MetadataServer();
    MetadataServer(const MetadataServer&) = delete;
    MetadataServer& operator=(const MetadataServer&) = delete;

    // Takes an address to listen on; port 0 takes any that is free. False, with the cause in
    // *error, on failure.
    bool bind(const std::string& host, int port, std::string* error);
    // The port that bind took.
    int port() const { return port_; }

    // Serves until stop is called. False if it ended for another reason.
    bool serve();
    // Ends serve, now or as soon as it is called; requests under way are answered. Thread-safe.
    void stop();

 private:
    class BoundedServer;
    struct Http;

    KeyValueStore store_;
    std::unique_ptr<Http> http_;
    int port_ = 0;
};

}  // namespace mooncake
