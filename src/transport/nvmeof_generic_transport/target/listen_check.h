// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nvmet_tree.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// Whether a port could listen at an address: the address is bound for a moment, as the kernel does
/// with it, and nothing listens. A port of this transport at the address is there to be shared. Of
/// RDMA only the address is tried, not the device.
/// @param tree  where there is none, only the address is tried
/// @return what a start would say: EADDRNOTAVAIL (no address of this host), EADDRINUSE, EACCES ...
Result<> checkListen(const NvmetTree& tree, const TransportAddress& address);

}  // namespace mooncake::nvmeof_generic
