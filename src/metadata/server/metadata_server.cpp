// SPDX-License-Identifier: Apache-2.0
#include "metadata_server.h"

#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "bounded_pool.h"
#include "deadline_stream.h"
#include "preconditions.h"

namespace mooncake {

namespace {

// Each connection holds a thread as long as it is open.
constexpr size_t kThreads = 64;
// Those that are served, and those that wait for a thread.
constexpr size_t kConnections = 320;
// So that clients that keep idle connections do not starve the others, and do not hold up the
// shutdown.
constexpr std::chrono::seconds kKeepAlive(1);
constexpr int kRequestsPerConnection = 5;
// Of one wait for bytes to come or to go.
constexpr std::chrono::seconds kIdle(5);

constexpr char kJson[] = "application/json";
constexpr char kText[] = "text/plain";

void answer(httplib::Response& response, int status, const std::string& text) {
    response.status = status;
    response.set_content(text + "\n", kText);
}

// Empty, with the answer given, where the request names no key.
std::string keyOf(const httplib::Request& request, httplib::Response& response) {
    const std::string key = request.get_param_value("key");
    if (key.empty()) answer(response, 400, "the query holds no key; it must read ?key=<key>");
    return key;
}

KeyValueStore::Condition conditionOf(const httplib::Request& request) {
    const auto values = [&](const char* name) {
        std::vector<std::string> all;
        for (size_t i = 0; i < request.get_header_value_count(name); ++i) {
            all.push_back(request.get_header_value(name, i));
        }
        return all;
    };
    return preconditionsFrom(values("If-Match"), values("If-None-Match"));
}

void answerChanged(httplib::Response& response) {
    answer(response, 412, "the entry is not what If-Match or If-None-Match asks for");
}

}  // namespace

// The library's server, but for who may hold a connection how long.
class MetadataServer::BoundedServer : public httplib::Server {
 public:
    explicit BoundedServer(const Times& times) : times_(times) {}

    // The library has the kernel hold five connections that are not accepted yet. Where many nodes
    // start at once, the others would try again after a second, three seconds, seven.
    void queueMore() { ::listen(svr_sock_, SOMAXCONN); }

 private:
    bool process_and_close_socket(socket_t fd) override {
        DeadlineStream stream(fd, kIdle);
        bool well = false;
        for (int left = kRequestsPerConnection; left > 0; --left) {
            if (svr_sock_ == INVALID_SOCKET || !stream.waitForRequest(kKeepAlive)) break;
            stream.allow(times_.header);
            bool closed = false;
            well = process_request(stream, left == 1, closed, [&](httplib::Request&) {
                stream.allow(times_.body);  // the header is there
            });
            // What has not come in time is not the begin of another request.
            if (!well || closed || stream.timeIsOver()) break;
        }
        shutdown(fd, SHUT_RDWR);
        close(fd);
        return well;
    }

    const Times times_;
};

struct MetadataServer::Http {
    explicit Http(const Times& times) : server(times) {}

    BoundedServer server;
    std::atomic<bool> serving{false};
    std::atomic<bool> ended{false};
    std::atomic<bool> stopping{false};
};

MetadataServer::MetadataServer(const KeyValueStore::Limits& limits, const Times& times)
    : store_(limits), http_(std::make_unique<Http>(times)) {
    httplib::Server& server = http_->server;
    server.new_task_queue = [] { return new BoundedPool(kThreads, kConnections); };
    // Else an answer on a connection that is used again waits for the other side to acknowledge its
    // header, 40 ms.
    server.set_tcp_nodelay(true);
    server.set_payload_max_length(limits.value_bytes);
    // The default adds SO_REUSEPORT, with which a second server takes the port without an error.
    server.set_socket_options([](int socket) {
        const int on = 1;
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    });

    server.Get("/health", [](const httplib::Request&, httplib::Response& response) {
        answer(response, 200, "ok");
    });
    server.Get("/metadata", [this](const httplib::Request& request, httplib::Response& response) {
        const std::string key = keyOf(request, response);
        if (key.empty()) return;
        std::string tag;
        if (auto value = store_.get(key, &tag)) {
            response.set_header("ETag", entityTag(tag));
            response.set_content(*value, kJson);
        } else {
            answer(response, 404, "there is no such key");
        }
    });
    server.Delete("/metadata",
                  [this](const httplib::Request& request, httplib::Response& response) {
                      const std::string key = keyOf(request, response);
                      if (key.empty()) return;
                      switch (store_.remove(key, conditionOf(request))) {
                          case KeyValueStore::RemoveResult::kRemoved:
                              answer(response, 200, "removed");
                              break;
                          case KeyValueStore::RemoveResult::kMissing:
                              answer(response, 404, "there is no such key");
                              break;
                          case KeyValueStore::RemoveResult::kConditionFails:
                              answerChanged(response);
                              break;
                      }
                  });
    // Read here piece by piece: the library's own limit does not hold for chunked or compressed
    // bodies.
    server.Put("/metadata", [this](const httplib::Request& request, httplib::Response& response,
                                   const httplib::ContentReader& read) {
        std::string value;
        bool too_large = false;
        const bool complete = read([&](const char* data, size_t size) {
            too_large = size > store_.limits().value_bytes - value.size();
            if (!too_large) value.append(data, size);
            return !too_large;
        });
        if (too_large || response.status == 413) {
            answer(response, 413,
                   "the value is larger than " + std::to_string(store_.limits().value_bytes) +
                       " bytes");
            return;
        }
        if (!complete) {
            answer(response, 400, "the body cannot be read, or not in time");
            return;
        }
        const std::string key = keyOf(request, response);
        if (key.empty()) return;
        std::string tag;
        switch (store_.set(key, std::move(value), conditionOf(request), &tag)) {
            case KeyValueStore::SetResult::kStored:
                response.set_header("ETag", entityTag(tag));
                answer(response, 200, "stored");
                break;
            case KeyValueStore::SetResult::kBadKey:
                answer(response, 400,
                       "the key is longer than " + std::to_string(store_.limits().key_bytes) +
                           " bytes");
                break;
            case KeyValueStore::SetResult::kValueTooLarge:
                answer(response, 413, "the value is too large");
                break;
            case KeyValueStore::SetResult::kFull:
                answer(response, 507,
                       "the store holds its maximum of " + std::to_string(store_.limits().keys) +
                           " keys");
                break;
            case KeyValueStore::SetResult::kConditionFails:
                answerChanged(response);
                break;
        }
    });
}

MetadataServer::~MetadataServer() = default;

bool MetadataServer::bind(const std::string& host, int port, std::string* error) {
    errno = 0;
    const int taken = port == 0 ? http_->server.bind_to_any_port(host)
                      : http_->server.bind_to_port(host, port) ? port
                                                               : -1;
    if (taken <= 0) {
        // An address that cannot be resolved leaves errno alone.
        *error = "cannot listen on " + host + " port " + std::to_string(port) + ": " +
                 (errno != 0 ? std::strerror(errno) : "the host is not an address of this machine");
        return false;
    }
    http_->server.queueMore();
    port_ = taken;
    return true;
}

bool MetadataServer::serve() {
    http_->serving = true;
    std::thread stopper;
    // The library closes the socket that bind opened only at the end of its listening.
    if (http_->stopping) stopper = std::thread([this] { stop(); });
    const bool ended_well = http_->server.listen_after_bind() || http_->stopping;
    http_->ended = true;
    if (stopper.joinable()) stopper.join();
    return ended_well;
}

void MetadataServer::stop() {
    http_->stopping = true;
    if (!http_->serving) return;
    // The library ignores a stop before it listens.
    while (!http_->server.is_running() && !http_->ended) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    http_->server.stop();
}

}  // namespace mooncake
