// SPDX-License-Identifier: Apache-2.0
// Who is at the other end of a connection, as far as that can be counted.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <string>

namespace mooncake {

// Equal for all addresses that one host can choose among: an IPv4 address (also one that is mapped
// into IPv6), or the first 64 bits of an IPv6 address. All of ::/64 but mapped addresses, loopback
// among them, counts as one.
using PeerKey = std::array<uint8_t, 9>;  // the family's kind, then the bytes

PeerKey peerKeyOf(const sockaddr_storage& address);

// The address in figures, without the port; "?" for what is neither IPv4 nor IPv6.
std::string peerText(const sockaddr_storage& address);

}  // namespace mooncake
