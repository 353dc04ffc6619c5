// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

/// What a segment's node has published, after it was checked.
struct RemoteDescriptor {
    std::string segment;  ///< its name, of any bytes
    TransportAddress address;
    std::string subsystemNqn;
    std::unordered_map<uint32_t, uint64_t> fileSizes;  ///< by file id (which is the nsid), bytes
};

}  // namespace mooncake::nvmeof_generic
