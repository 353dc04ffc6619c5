// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

namespace mooncake::nvmeof_generic {
namespace {

struct BinaryAddress {
    in6_addr bytes{};   // IPv4 in the first four
    std::string scope;  // the interface behind '%'
};

std::optional<BinaryAddress> toBinary(const TransportAddress& address) {
    BinaryAddress binary;
    if (address.adrfam == "ipv4") {
        if (inet_pton(AF_INET, address.traddr.c_str(), &binary.bytes) != 1) return std::nullopt;
        return binary;
    }
    const size_t percent = address.traddr.find('%');
    if (inet_pton(AF_INET6, address.traddr.substr(0, percent).c_str(), &binary.bytes) != 1) {
        return std::nullopt;
    }
    if (percent != std::string::npos) binary.scope = address.traddr.substr(percent + 1);
    return binary;
}

}  // namespace

bool sameEndpoint(const TransportAddress& a, const TransportAddress& b) {
    if (a.trtype != b.trtype || a.adrfam != b.adrfam || a.trsvcid != b.trsvcid) return false;
    const auto binaryA = toBinary(a);
    const auto binaryB = toBinary(b);
    return binaryA && binaryB && binaryA->scope == binaryB->scope &&
           std::memcmp(&binaryA->bytes, &binaryB->bytes, sizeof(in6_addr)) == 0;
}

bool sameEndpoints(const TransportAddresses& a, const TransportAddresses& b) {
    return a.size() == b.size() && std::all_of(a.begin(), a.end(), [&](const auto& one) {
               return std::any_of(b.begin(), b.end(),
                                  [&](const auto& other) { return sameEndpoint(one, other); });
           });
}

bool collide(const TransportAddress& a, const TransportAddress& b) {
    if (a.trtype != b.trtype || a.trsvcid != b.trsvcid) return false;
    return isUnspecified(a) || isUnspecified(b) || sameEndpoint(a, b);
}

bool isLoopback(const TransportAddress& address) {
    const auto binary = toBinary(address);
    if (!binary) return false;
    if (address.adrfam == "ipv4") return binary->bytes.s6_addr[0] == 127;
    return IN6_IS_ADDR_LOOPBACK(&binary->bytes);
}

}  // namespace mooncake::nvmeof_generic
