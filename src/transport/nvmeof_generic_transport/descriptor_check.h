// SPDX-License-Identifier: Apache-2.0
// A segment descriptor is a stranger's text until it was checked.
#pragma once

#include "network_list.h"
#include "segment/remote_descriptor.h"
#include "transfer_metadata.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Checks a descriptor: protocol, address, NQN, and each file's id (a valid nsid, once) and size. A
/// file whose entry is wrong is left out, with a log line: it is an error of that file alone. A
/// file's identity is its uuid, or its path and size where its node publishes none; of files that
/// share theirs, everything that is published of them.
/// @param allowed  where the address must lie
/// @return EINVAL that names the segment and the field; EACCES for an address outside of `allowed`
Result<RemoteDescriptor> checkDescriptor(const TransferMetadata::SegmentDesc& descriptor,
                                         const NetworkList& allowed);

}  // namespace mooncake::nvmeof_generic
