// SPDX-License-Identifier: Apache-2.0
#include "metadata_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace mooncake {

namespace {

// Each connection holds a thread as long as it is open.
constexpr size_t kThreads = 64;
// So that clients that keep idle connections do not starve the others, and do not hold up the
// shutdown.
constexpr time_t kKeepAliveSeconds = 1;
// Of one wait for bytes to come or to go.
constexpr time_t kReadSeconds = 5;
constexpr time_t kWriteSeconds = 5;
constexpr std::chrono::seconds kBodyTime(30);

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

}  // namespace

struct MetadataServer::Http {
    httplib::Server server;
    std::atomic<bool> serving{false};
    std::atomic<bool> ended{false};
    std::atomic<bool> stopping{false};
};

MetadataServer::MetadataServer(const KeyValueStore::Limits& limits)
    : store_(limits), http_(std::make_unique<Http>()) {
    httplib::Server& server = http_->server;
    server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server.set_keep_alive_timeout(kKeepAliveSeconds);
    server.set_read_timeout(kReadSeconds);
    server.set_write_timeout(kWriteSeconds);
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
        if (auto value = store_.get(key)) {
            response.set_content(*value, kJson);
        } else {
            answer(response, 404, "there is no such key");
        }
    });
    server.Delete("/metadata",
                  [this](const httplib::Request& request, httplib::Response& response) {
                      const std::string key = keyOf(request, response);
                      if (key.empty()) return;
                      if (store_.remove(key)) {
                          answer(response, 200, "removed");
                      } else {
                          answer(response, 404, "there is no such key");
                      }
                  });
    // Read here piece by piece: the library's own limit does not hold for chunked or compressed
    // bodies.
    server.Put("/metadata", [this](const httplib::Request& request, httplib::Response& response,
                                   const httplib::ContentReader& read) {
        std::string value;
        bool too_large = false;
        const auto deadline = std::chrono::steady_clock::now() + kBodyTime;
        const bool complete = read([&](const char* data, size_t size) {
            // One that sends a byte now and then would else keep its thread for ever.
            if (std::chrono::steady_clock::now() > deadline) return false;
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
        switch (store_.set(key, std::move(value))) {
            case KeyValueStore::SetResult::kStored:
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
