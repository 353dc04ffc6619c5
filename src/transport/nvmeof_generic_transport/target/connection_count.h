// SPDX-License-Identifier: Apache-2.0
// Who is connected to a target, as far as the kernel shows it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// TCP connections at an address of the calling process's network namespace, whosever they are.
/// @param procRoot  where /proc is
/// @return nothing for RDMA, and where /proc does not show them
std::optional<uint64_t> countTcpConnections(const TransportAddress& address,
                                            const std::string& procRoot = "/proc");

/// Controllers of a subsystem by host NQN.
/// @param sysRoot  where /sys is
/// @return nothing where the kernel does not show them (no debugfs, or nvmet's part of it is not
///     built in: CONFIG_NVME_TARGET_DEBUGFS, 6.11)
std::optional<std::map<std::string, uint64_t>> countControllers(
    const std::string& subsystemNqn, const std::string& sysRoot = "/sys");

}  // namespace mooncake::nvmeof_generic
