// SPDX-License-Identifier: Apache-2.0
#include "metadata_server.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "preconditions.h"

namespace mooncake {

namespace {

constexpr char kJson[] = "application/json";
constexpr char kText[] = "text/plain";
constexpr char kMetrics[] = "text/plain; version=0.0.4";
constexpr size_t kListed = 1000;
// What a body may have beside the value, where it comes in chunks.
constexpr size_t kFraming = 64 << 10;

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

bool isThisMachine(const std::string& address) {
    return address.starts_with("127.") || address.starts_with("::ffff:127.") || address == "::1";
}

std::string percentEncoded(const std::string& text) {
    constexpr char kHex[] = "0123456789ABCDEF";
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                           (c >= 'a' && c <= 'z') || (c != '\0' && std::strchr("-._~/:", c));
        if (plain) {
            encoded += c;
        } else {
            encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
        }
    }
    return encoded;
}

}  // namespace

struct MetadataServer::Http {
    explicit Http(const Options& options)
        : front(options.times, options.crowd, options.pending_bytes,
                2 * options.store.value_bytes + kFraming) {}

    HttpFront front;
    std::atomic<bool> serving{false};
    std::atomic<bool> ended{false};
    std::atomic<bool> stopping{false};
};

MetadataServer::MetadataServer(const Options& options)
    : store_(options.store),
      log_(options.log ? std::make_unique<PacedLog>(options.log) : nullptr),
      http_(std::make_unique<Http>(options)) {
    httplib::Server& server = http_->front;
    server.set_payload_max_length(options.store.value_bytes);
    server.set_pre_routing_handler([this](const Request& request, Response& response) {
        if (admit(request, response)) return httplib::Server::HandlerResponse::Unhandled;
        HttpFront::closeAfter(response);
        return httplib::Server::HandlerResponse::Handled;
    });
    server.set_logger([this](const Request& request, const Response& response) {
        metrics_.answered(request.method, response.status);
    });
    addRoutes();
}

MetadataServer::~MetadataServer() = default;

void MetadataServer::setTls(TlsContext context) {
    http_->front.setTls(std::move(context));
}

// Before anything of a body is read.
bool MetadataServer::admit(const Request& request, Response& response) {
    if (request.path == "/health" || request.path == "/metrics") return true;
    if (!access_.allows(request.get_header_value("Authorization"))) {
        response.set_header("WWW-Authenticate", "Bearer");
        refuse(response, 401, "token", "this server answers those alone who send its token");
        return false;
    }
    if (request.path == "/keys" && !access_.asksForToken() && !isThisMachine(request.remote_addr)) {
        refuse(response, 403, "keys", "without a token this machine alone may list the keys");
        return false;
    }
    // A few bytes of it could stand for a whole value.
    const std::string coding = request.get_header_value("Content-Encoding");
    if (!coding.empty() && coding != "identity") {
        refuse(response, 415, "encoding", "bodies are taken as they are, not compressed");
        return false;
    }
    return true;
}

void MetadataServer::addRoutes() {
    httplib::Server& server = http_->front;
    server.Get("/health", [](const Request&, Response& response) { answer(response, 200, "ok"); });
    server.Get("/metrics", [this](const Request&, Response& response) {
        response.set_content(metricsText(), kMetrics);
    });
    server.Get("/keys",
               [this](const Request& request, Response& response) { listKeys(request, response); });
    server.Get("/metadata",
               [this](const Request& request, Response& response) { get(request, response); });
    server.Delete("/metadata", [this](const Request& request, Response& response) {
        remove(request, response);
    });
    // Read here piece by piece: the library's own limit does not hold for chunked bodies.
    server.Put("/metadata",
               [this](const Request& request, Response& response,
                      const httplib::ContentReader& read) { put(request, response, read); });
}

void MetadataServer::refuse(Response& response, int status, const std::string& cause,
                            const std::string& text) {
    metrics_.refused(cause);
    answer(response, status, text);
}

void MetadataServer::note(const Request& request, const std::string& what) {
    if (log_) log_->write(request.remote_addr + " " + what);
}

void MetadataServer::get(const Request& request, Response& response) {
    const std::string key = keyOf(request, response);
    if (key.empty()) return;
    std::string tag;
    const KeyValueStore::Value value = store_.get(key, &tag);
    if (!value) {
        answer(response, 404, "there is no such key");
        return;
    }
    response.set_header("ETag", entityTag(tag));
    if (value->empty()) {
        response.set_content("", kJson);
        return;
    }
    // Without a copy for each who reads it.
    response.set_content_provider(value->size(), kJson,
                                  [value](size_t offset, size_t length, httplib::DataSink& sink) {
                                      return sink.write(value->data() + offset, length);
                                  });
}

void MetadataServer::remove(const Request& request, Response& response) {
    const std::string key = keyOf(request, response);
    if (key.empty()) return;
    switch (store_.remove(key, conditionOf(request))) {
        case KeyValueStore::RemoveResult::kRemoved:
            note(request, "removed " + logText(key));
            answer(response, 200, "removed");
            break;
        case KeyValueStore::RemoveResult::kMissing:
            answer(response, 404, "there is no such key");
            break;
        case KeyValueStore::RemoveResult::kConditionFails:
            answerChanged(response);
            break;
    }
}

void MetadataServer::put(const Request& request, Response& response,
                         const httplib::ContentReader& read) {
    const KeyValueStore::Limits& limits = store_.limits();
    std::string value;
    bool too_large = false;
    const bool complete = read([&](const char* data, size_t size) {
        too_large = size > limits.value_bytes - value.size();
        if (!too_large) value.append(data, size);
        return !too_large;
    });
    if (too_large || !complete) HttpFront::closeAfter(response);
    if (too_large || response.status == 413) {
        refuse(response, 413, "value_size",
               "the value is larger than " + std::to_string(limits.value_bytes) + " bytes");
        return;
    }
    if (!complete) {
        refuse(response, 400, "body", "the body cannot be read, or not in time");
        return;
    }
    const std::string key = keyOf(request, response);
    if (key.empty()) return;
    const size_t size = value.size();
    std::string tag;
    bool changed = false;
    switch (store_.set(key, std::move(value), conditionOf(request), &tag, &changed)) {
        case KeyValueStore::SetResult::kStored:
            if (changed) {
                note(request, "stored " + logText(key) + ", " + std::to_string(size) + " bytes");
            }
            response.set_header("ETag", entityTag(tag));
            answer(response, 200, "stored");
            break;
        case KeyValueStore::SetResult::kBadKey:
            answer(response, 400,
                   "the key is longer than " + std::to_string(limits.key_bytes) + " bytes");
            break;
        case KeyValueStore::SetResult::kValueTooLarge:
            answer(response, 413, "the value is too large");
            break;
        case KeyValueStore::SetResult::kFull:
            refuse(response, 507, "keys_full",
                   "the store holds its maximum of " + std::to_string(limits.keys) + " keys");
            break;
        case KeyValueStore::SetResult::kNoSpace:
            refuse(response, 507, "bytes_full",
                   "the store may hold " + std::to_string(limits.total_bytes) +
                       " bytes, and has no room for so many more");
            break;
        case KeyValueStore::SetResult::kConditionFails:
            answerChanged(response);
            break;
    }
}

void MetadataServer::listKeys(const Request& request, Response& response) {
    std::string text;
    for (const auto& one : store_.list(request.get_param_value("prefix"),
                                       request.get_param_value("after"), kListed)) {
        text += percentEncoded(one.key) + " " + std::to_string(one.bytes) + "\n";
    }
    response.set_content(text, kText);
}

std::string MetadataServer::metricsText() {
    const Clients::Counts counts = http_->front.clients().counts();
    return metrics_.text({.keys = store_.size(),
                          .bytes = store_.bytes(),
                          .max_bytes = store_.limits().total_bytes,
                          .connections = counts.connections,
                          .pending_bytes = counts.pending_bytes,
                          .accepted = counts.accepted,
                          .crowded_out = counts.crowded_out,
                          .too_greedy = counts.too_greedy});
}

bool MetadataServer::bind(const std::string& host, int port, std::string* error) {
    errno = 0;
    const int taken = port == 0                               ? http_->front.bind_to_any_port(host)
                      : http_->front.bind_to_port(host, port) ? port
                                                              : -1;
    if (taken <= 0) {
        const int code = errno;
        // An address that cannot be resolved leaves errno alone.
        *error = "cannot listen on " + host + " port " + std::to_string(port) + ": " +
                 (code != 0 ? std::strerror(code) : "the host is not an address of this machine");
        if (code == EADDRINUSE) {
            *error +=
                "; another program listens there (ss -tlnp), or the port is the local one of an "
                "outgoing connection (ss -tnp): choose another, outside of "
                "net.ipv4.ip_local_port_range";
        }
        return false;
    }
    http_->front.queueMore();
    port_ = taken;
    return true;
}

bool MetadataServer::serve() {
    http_->serving = true;
    bool ended_well = http_->stopping;
    if (ended_well) {
        http_->front.closeUnserved();
    } else {
        ended_well = http_->front.listen_after_bind() || http_->stopping;
    }
    http_->ended = true;
    return ended_well;
}

void MetadataServer::stop() {
    http_->stopping = true;
    if (!http_->serving) return;
    // The library ignores a stop before it listens.
    while (!http_->front.is_running() && !http_->ended) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    http_->front.stop();
    http_->front.clients().close();
}

}  // namespace mooncake
