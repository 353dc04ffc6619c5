// SPDX-License-Identifier: Apache-2.0
// The HTTP side of the metadata server.
//
//   GET    /metadata?key=K   200 and the value, or 404
//   PUT    /metadata?key=K   200; 413 for a value beyond the limit, 507 where the store is full
//   DELETE /metadata?key=K   200, or 404
//   GET    /keys             200 and a key a line, percent-encoded, then a space and the bytes of
//                            its value: those that begin with prefix=P and stand behind after=A,
//                            1000 at most
//   GET    /metrics          200 and counters, in the text form of Prometheus
//   GET    /health           200
// Each state of an entry has an entity tag, which GET and PUT answer as ETag. With If-Match or
// If-None-Match (RFC 9110), PUT and DELETE answer 412 and change nothing where it is not as asked.
// 400 where the key is missing, empty or too long. Values are bytes; they are answered as
// application/json. Where there are tokens, /metadata and /keys answer 401 to those who send none
// of them; where there are none, /keys answers 403 to all but this machine.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "access_list.h"
#include "http_front.h"
#include "key_value_store.h"
#include "paced_log.h"
#include "server_metrics.h"

namespace mooncake {

class MetadataServer {
 public:
    using Times = HttpFront::Times;
    struct Options {
        KeyValueStore::Limits store{};
        Times times{};
        ConnectionCrowd::Limits crowd{.connections = 512, .per_peer = 256};
        // Of all requests that are not complete, together.
        size_t pending_bytes = size_t{64} << 20;
        PacedLog::Sink log{};  // a line for each change of an entry; null: none
    };

    explicit MetadataServer(const Options& options);
    ~MetadataServer();
    MetadataServer(const MetadataServer&) = delete;
    MetadataServer& operator=(const MetadataServer&) = delete;

    // From the next request on, and from the next connection on. Thread-safe.
    void setTokens(AccessList::Tokens tokens) { access_.set(std::move(tokens)); }
    void setTls(TlsContext context);

    // Takes an address to listen on; port 0 takes any that is free. False, with the cause in
    // *error, on failure.
    bool bind(const std::string& host, int port, std::string* error);
    // The port that bind took.
    int port() const { return port_; }

    // Serves until stop is called. False if it ended for another reason.
    bool serve();
    // Ends serve, now or as soon as it is called; requests that are complete are answered, others
    // cut off. Thread-safe.
    void stop();

 private:
    struct Http;
    using Request = httplib::Request;
    using Response = httplib::Response;

    bool admit(const Request& request, Response& response);
    void addRoutes();
    void get(const Request& request, Response& response);
    void put(const Request& request, Response& response, const httplib::ContentReader& read);
    void remove(const Request& request, Response& response);
    void listKeys(const Request& request, Response& response);
    std::string metricsText();
    void note(const Request& request, const std::string& what);
    void refuse(Response& response, int status, const std::string& cause, const std::string& text);

    KeyValueStore store_;
    AccessList access_;
    ServerMetrics metrics_;
    std::unique_ptr<PacedLog> log_;  // null: none
    std::unique_ptr<Http> http_;
    int port_ = 0;
};

}  // namespace mooncake
