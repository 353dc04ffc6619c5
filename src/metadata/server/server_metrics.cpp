// SPDX-License-Identifier: Apache-2.0
#include "server_metrics.h"

namespace mooncake {

namespace {

constexpr char kPrefix[] = "transfer_engine_metadata_server_";

void head(std::string* text, const std::string& name, const char* type, const char* help) {
    *text += "# HELP " + (kPrefix + name) + " " + help + "\n# TYPE " + (kPrefix + name) + " " +
             type + "\n";
}

void line(std::string* text, const std::string& name, const std::string& labels, uint64_t value) {
    *text += kPrefix + name + labels + " " + std::to_string(value) + "\n";
}

void one(std::string* text, const std::string& name, const char* type, const char* help,
         uint64_t value) {
    head(text, name, type, help);
    line(text, name, "", value);
}

}  // namespace

void ServerMetrics::answered(const std::string& method, int status) {
    // What a stranger makes up does not become a series of its own.
    const bool known = method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE";
    std::lock_guard lock(mutex_);
    ++requests_[{known ? method : "other", status}];
}

void ServerMetrics::refused(const std::string& cause, uint64_t count) {
    std::lock_guard lock(mutex_);
    refused_[cause] += count;
}

std::string ServerMetrics::text(const Values& values) const {
    std::string text;
    one(&text, "keys", "gauge", "Keys that are stored.", values.keys);
    one(&text, "stored_bytes", "gauge", "Bytes that keys and values take.", values.bytes);
    one(&text, "max_stored_bytes", "gauge", "Bytes that they may take.", values.max_bytes);
    one(&text, "connections", "gauge", "Connections that are open.", values.connections);
    one(&text, "pending_bytes", "gauge", "Bytes of requests that are not complete.",
        values.pending_bytes);
    one(&text, "connections_total", "counter", "Connections that were accepted.", values.accepted);
    std::lock_guard lock(mutex_);
    head(&text, "requests_total", "counter", "Requests that were answered.");
    for (const auto& [key, count] : requests_) {
        line(&text, "requests_total",
             "{method=\"" + key.first + "\",status=\"" + std::to_string(key.second) + "\"}", count);
    }
    std::map<std::string, uint64_t> refused = refused_;
    refused["connections"] += values.crowded_out;
    refused["pending_bytes"] += values.too_greedy;
    head(&text, "refused_total", "counter",
         "Requests and connections that were refused or cut off, by cause.");
    for (const auto& [cause, count] : refused) {
        line(&text, "refused_total", "{cause=\"" + cause + "\"}", count);
    }
    return text;
}

}  // namespace mooncake
