// SPDX-License-Identifier: Apache-2.0
#include "endpoints.h"

#include <algorithm>

#include "common.h"

namespace mooncake {

namespace {

constexpr size_t kMaxEndpoints = 16;
constexpr size_t kMaxHostBytes = 253;  // of a name in the DNS

bool isHostName(std::string_view host) {
    return !host.empty() && host.size() <= kMaxHostBytes &&
           std::all_of(host.begin(), host.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_';
           });
}

bool parseEndpoint(std::string_view text, uint16_t default_port, StoreEndpoint* endpoint) {
    std::string_view port;
    bool has_port = false;
    if (text.starts_with('[')) {
        const size_t end = text.find(']');
        if (end == std::string_view::npos) return false;
        endpoint->host = std::string(text.substr(1, end - 1));
        if (!isValidIpV6(endpoint->host)) return false;
        const std::string_view rest = text.substr(end + 1);
        if (!rest.empty() && rest.front() != ':') return false;
        has_port = !rest.empty();
        if (has_port) port = rest.substr(1);
    } else {
        const size_t colon = text.find(':');
        endpoint->host = std::string(text.substr(0, colon));
        if (!isHostName(endpoint->host)) return false;
        has_port = colon != std::string_view::npos;
        if (has_port) port = text.substr(colon + 1);
    }
    endpoint->port = default_port;
    if (!has_port) return true;
    const auto number = parseFromString<uint16_t>(port);
    if (!number || *number == 0) return false;
    endpoint->port = *number;
    return true;
}

}  // namespace

std::string StoreEndpoint::text() const {
    return maybeWrapIpV6(host) + ":" + std::to_string(port);
}

Status parseEndpoints(std::string_view what, std::string_view list, uint16_t default_port,
                      std::vector<StoreEndpoint>* endpoints) {
    const auto bad = [what](const std::string& why) {
        return Status::InvalidArgument(
            std::string(what) + " " + why +
            "; each endpoint reads host:port or [IPv6]:port, with a port "
            "from 1 to 65535");
    };
    endpoints->clear();
    for (const char c : list) {
        if (c <= ' ' || c > '~') return bad("holds a space or an unprintable character");
    }
    for (size_t begin = 0; begin <= list.size();) {
        const size_t end = std::min(list.find_first_of(",;", begin), list.size());
        const std::string_view one = list.substr(begin, end - begin);
        StoreEndpoint endpoint;
        if (!parseEndpoint(one, default_port, &endpoint)) {
            return bad("holds the malformed endpoint '" + std::string(one.substr(0, 300)) + "'");
        }
        if (endpoints->size() == kMaxEndpoints) {
            return bad("holds more than " + std::to_string(kMaxEndpoints) + " endpoints");
        }
        endpoints->push_back(std::move(endpoint));
        begin = end + 1;
    }
    return Status::OK();
}

}  // namespace mooncake
