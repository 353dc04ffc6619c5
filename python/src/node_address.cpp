// SPDX-License-Identifier: Apache-2.0
#include "node_address.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace mooncake::python {
namespace {

constexpr char kTransport[] = "nvmeof_generic";

bool isBareIpV6(const std::string& hostname) {
    return !hostname.starts_with('[') && std::count(hostname.begin(), hostname.end(), ':') > 1;
}

std::string hostOf(const std::string& hostname) {
    if (hostname.starts_with('[')) return hostname.substr(1, hostname.find(']') - 1);
    return isBareIpV6(hostname) ? hostname : hostname.substr(0, hostname.find(':'));
}

// "adrfam=ipv4 traddr=192.0.2.1".
tl::expected<std::string, std::string> addressOf(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
    if (error != 0) {
        return tl::unexpected("local_hostname: '" + host + "' has no address: " +
                              ::gai_strerror(error) + "; give an address of this machine");
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(found, ::freeaddrinfo);
    for (const int family : {AF_INET, AF_INET6}) {
        for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
            char text[NI_MAXHOST];
            if (one->ai_family != family ||
                ::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), nullptr, 0,
                              NI_NUMERICHOST) != 0) {
                continue;
            }
            return (family == AF_INET ? "adrfam=ipv4 traddr=" : "adrfam=ipv6 traddr=") +
                   std::string(text);
        }
    }
    return tl::unexpected("local_hostname: '" + host + "' has neither an IPv4 nor an IPv6 address");
}

}  // namespace

bool hasPort(const std::string& hostname) {
    if (hostname.starts_with('[')) return hostname.find("]:") != std::string::npos;
    return !isBareIpV6(hostname) && hostname.find(':') != std::string::npos;
}

std::string withPort(const std::string& host, unsigned port) {
    return (isBareIpV6(host) ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

tl::expected<TransportChoice, std::string> transportOf(const SetupRequest& request) {
    const bool is_fabric = request.protocol == "tcp" || request.protocol == "rdma";
    if (!is_fabric && request.protocol != kTransport) {
        return TransportChoice{request.protocol, request.protocol_arg};
    }
    TransportChoice choice{kTransport, is_fabric ? "" : request.protocol_arg};
    const bool gives = request.global_segment_size != 0 || !request.files.empty();
    if (!gives || !choice.args.empty()) return choice;
    if (const char* const named = std::getenv("MC_STORE_PROTOCOL_ARG"); named != nullptr) {
        choice.args = named;
        return choice;
    }
    const auto address = addressOf(hostOf(request.local_hostname));
    if (!address) return tl::unexpected(address.error());
    choice.args = "trtype=" + std::string(is_fabric ? request.protocol : "tcp") + ' ' + *address +
                  " trsvcid=4420";
    return choice;
}

}  // namespace mooncake::python
