// SPDX-License-Identifier: Apache-2.0
// A segment descriptor is a stranger's text until it was checked.
#pragma once

#include "machine_identity.h"
#include "network_list.h"
#include "transfer_metadata.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/segment/remote_descriptor.h"

namespace mooncake::nvmeof_generic {

/// Checks a descriptor: protocol, address, NQN, and each file's id (a valid nsid, once) and size. A
/// file whose entry is wrong is left out, with a log line: it is an error of that file alone. A
/// file's identity is its uuid, or its path and size where its node publishes none; of files that
/// share theirs, everything that is published of them.
/// Each of its addresses must be one that leads from here to the segment's node: never unspecified,
/// of a link or with an interface's name, which mean something else on each machine, and a loopback
/// address only if the node is on this machine. Where the record does not say on which machine it
/// is, as those of other engines, a loopback address is believed, with a line in the log once.
/// @param allowed  where the addresses must lie
/// @param here  of this process
/// @return EINVAL that names the segment and the field; EACCES for an address outside of
/// `allowed`
Result<RemoteDescriptor> checkDescriptor(const TransferMetadata::SegmentDesc& descriptor,
                                         const NetworkList& allowed, const MachineIdentity& here);

}  // namespace mooncake::nvmeof_generic
