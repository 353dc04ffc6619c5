// SPDX-License-Identifier: Apache-2.0
// Under which name and at which address a node is found.
#pragma once

#include <string>
#include <tl/expected.hpp>

#include "setup_request.h"

namespace mooncake::python {

// Whether "host:port" or "[address]:port" and not only a host.
bool hasPort(const std::string& hostname);
std::string withPort(const std::string& host, unsigned port);

// The transport and its address; see ClientOptions.
struct TransportChoice {
    std::string protocol;
    std::string args;
};

// "tcp" and "rdma" are nvmeof_generic over that; at $MC_STORE_PROTOCOL_ARG, else at the address of
// local_hostname, port 4420, where the node gives files. The error says what is wrong.
tl::expected<TransportChoice, std::string> transportOf(const SetupRequest& request);

}  // namespace mooncake::python
