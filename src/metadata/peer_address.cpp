// SPDX-License-Identifier: Apache-2.0
#include "peer_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace mooncake {

namespace {

std::optional<in_addr> ipv4Of(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) {
        return reinterpret_cast<const sockaddr_in&>(address).sin_addr;
    }
    if (address.ss_family != AF_INET6) return std::nullopt;
    const in6_addr& six = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    if (!IN6_IS_ADDR_V4MAPPED(&six)) return std::nullopt;
    in_addr four;
    std::memcpy(&four, six.s6_addr + 12, sizeof(four));
    return four;
}

}  // namespace

PeerKey peerKeyOf(const sockaddr_storage& address) {
    PeerKey key = {};
    if (const auto four = ipv4Of(address)) {
        key[0] = 4;
        std::memcpy(key.data() + 1, &*four, sizeof(*four));
    } else if (address.ss_family == AF_INET6) {
        key[0] = 6;
        const auto& six = reinterpret_cast<const sockaddr_in6&>(address);
        std::copy_n(six.sin6_addr.s6_addr, 8, key.begin() + 1);
    }
    return key;
}

std::string peerText(const sockaddr_storage& address) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (const auto four = ipv4Of(address)) {
        inet_ntop(AF_INET, &*four, text, sizeof(text));
    } else if (address.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text,
                  sizeof(text));
    }
    return text;
}

}  // namespace mooncake
