// SPDX-License-Identifier: Apache-2.0
// A path: an address of a target, and from where on this host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// This host's end of a connection. Both empty: what the route says.
struct HostSide {
    std::string interface;  ///< its name
    std::string address;    ///< numeric, one of this host's

    bool operator==(const HostSide&) const = default;
};
using HostSides = std::vector<HostSide>;

struct Path {
    TransportAddress target;
    HostSide from{};

    bool operator==(const Path&) const = default;
};
using Paths = std::vector<Path>;

/// Takes interface names or numeric addresses of this host, apart by commas, 1 to 8.
/// @return EINVAL that says what is wrong with which
Result<HostSides> parseHostSides(std::string_view text);

/// Each address of a target, from each of these ends that are of its family; with none, as the
/// route says.
Paths pathsOf(const TransportAddresses& addresses, const HostSides& from);

/// The address from which to connect, where only an interface is given: RDMA takes no interfaces.
/// @return empty where the route decides; EADDRNOTAVAIL where the interface has none of the family
Result<std::string> sourceAddress(const Path& path);

/// For log lines and errors.
std::string toString(const Path& path);

}  // namespace mooncake::nvmeof_generic
