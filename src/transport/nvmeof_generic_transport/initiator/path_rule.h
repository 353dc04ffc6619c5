// SPDX-License-Identifier: Apache-2.0
// The kernel makes all controllers of one subsystem NQN paths of the same disks, whoever made them
// and wherever they lead, and shares I/O between them. So a controller may be there, be made and be
// used only when every controller of its NQN leads to an address of the same segment.
#pragma once

#include <string>
#include <vector>

#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// What names a connection: a subsystem at the addresses of one segment, in whatever order.
std::string connectionKey(const std::string& subsystemNqn, const TransportAddresses& addresses);

bool isAtOneOf(const ControllerInfo& controller, const TransportAddresses& addresses);

/// Whether a controller is one of the segment's.
bool isPath(const ControllerInfo& controller, const std::string& subsystemNqn,
            const TransportAddresses& addresses);

/// A controller of this NQN that leads elsewhere, of whatever host NQN and in whatever state; null
/// where there is none.
const ControllerInfo* findStranger(const std::vector<ControllerInfo>& controllers,
                                   const std::string& subsystemNqn,
                                   const TransportAddresses& addresses);

/// @return EADDRINUSE that names the controller, both addresses and the remedy
Error strangerError(const ControllerInfo& stranger, const TransportAddresses& addresses);

}  // namespace mooncake::nvmeof_generic
