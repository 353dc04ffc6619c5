// SPDX-License-Identifier: Apache-2.0
// What this host is connected to, by which paths.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "roots.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic::admin {

struct ConnectionPath {
    std::string controller;  ///< the kernel's name of it
    std::string transport;
    std::string address;  ///< "traddr=192.0.2.7,trsvcid=4420", and from where if that was chosen
    std::string state;    ///< as the kernel shows it; "live" when it is up
    uint64_t bytesRead = 0;
    uint64_t bytesWritten = 0;
};

struct ConnectedSubsystem {
    std::string nqn;
    std::string ioPolicy;  ///< of the kernel's native multipath; "" where there is none
    std::vector<ConnectionPath> paths;
};

/// Looks at sysfs without changing it.
/// @param all  subsystems that are not of this transport, too
Result<std::vector<ConnectedSubsystem>> listConnections(const Roots& roots, bool all);

}  // namespace mooncake::nvmeof_generic::admin
