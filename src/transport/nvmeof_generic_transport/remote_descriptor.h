// SPDX-License-Identifier: Apache-2.0
// What a segment descriptor says, after it was checked: until then it is a stranger's text.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "network_list.h"
#include "transfer_metadata.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/transport_address.h"

namespace mooncake::nvmeof_generic {

struct RemoteDescriptor {
    std::string segment;  ///< its name, of any bytes
    TransportAddress address;
    std::string subsystemNqn;
    std::unordered_map<uint32_t, uint64_t> fileSizes;  ///< by file id (which is the nsid), bytes
};

/// Checks a descriptor: protocol, address, NQN, and each file's id (a valid nsid, once) and size. A
/// file whose entry is wrong is left out, with a log line: it is an error of that file alone.
/// @param allowed  where the address must lie
/// @return EINVAL that names the segment and the field; EACCES for an address outside of `allowed`
Result<RemoteDescriptor> checkDescriptor(const TransferMetadata::SegmentDesc& descriptor,
                                         const NetworkList& allowed);

}  // namespace mooncake::nvmeof_generic
