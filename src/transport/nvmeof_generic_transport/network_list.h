// SPDX-License-Identifier: Apache-2.0
// The networks that an initiator may connect to.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// A list of networks; an empty one stands for every network. Constant once made, so thread-safe.
class NetworkList {
 public:
    NetworkList() = default;

    /// Parses networks in CIDR form with commas between, IPv4 and IPv6 mixed:
    /// "10.1.0.0/16,192.0.2.7,fd00::/8". An address without "/" stands for itself.
    /// @return EINVAL that names the part and what is wrong with it; bits behind the prefix must be
    /// 0, since a network written with them is a slip more often than not
    static Result<NetworkList> parse(std::string_view text);

    /// @param address  one that checkAddress() accepted. An IPv4 address is the same in the form
    /// "::ffff:192.0.2.7"; "::/0" stands for IPv6 alone
    bool contains(const TransportAddress& address) const;

 private:
    // IPv4 in its form as IPv6.
    using Bytes = std::array<uint8_t, 16>;
    struct Network {
        Bytes bytes;
        unsigned bits;
    };

    static bool read(std::string_view text, Bytes& bytes, bool& dotted);
    static bool isIpv4(const Bytes& bytes);
    static bool samePrefix(const Bytes& a, const Bytes& b, unsigned bits);

    std::vector<Network> networks_;
};

}  // namespace mooncake::nvmeof_generic
