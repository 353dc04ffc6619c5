// SPDX-License-Identifier: Apache-2.0
// "host:port[,host:port...]", as it stands in connection strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"

namespace mooncake {

struct StoreEndpoint {
    std::string host;  // a name or an address, IPv6 without brackets
    uint16_t port = 0;

    // host:port, with brackets where the host has colons.
    std::string text() const;
};

// Reads one or more endpoints, apart by commas or semicolons. An endpoint is a host name, an IPv4
// address, or an IPv6 address in brackets, then a colon and a port from 1 to 65535; without the
// colon it gets `default_port`. InvalidArgument, with the cause, for anything else; `what` names
// the list in the message. At most 16 endpoints. Thread-safe.
Status parseEndpoints(std::string_view what, std::string_view list, uint16_t default_port,
                      std::vector<StoreEndpoint>* endpoints);

}  // namespace mooncake
