// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"
#include "transport/nvmeof_generic_transport/initiator/initiator_options.h"

namespace mooncake::nvmeof_generic {

/// The pair that this host connects with, the same in every process. The NQN is the first there is
/// of: the option hostNqn, <etcRoot>/nvme/hostnqn, one made of <etcRoot>/machine-id, one made of
/// the mainboard's product_uuid, a random one that lasts as long as the process. The host id is
/// that of <etcRoot>/nvme/hostid where it belongs to the NQN, otherwise made of the NQN.
/// @return EINVAL for a malformed file, an errno for an unreadable one; the message names it
Result<HostIdentity> loadHostIdentity(const InitiatorOptions& options);

/// The pair to connect with, given the controllers that this kernel has: from Linux 6.x on it
/// refuses (EINVAL) a known NQN with another id, and a known id with another NQN, whoever made them
/// known. The NQN always stays, the target's list of allowed hosts depends on it.
HostIdentity agreeWith(const HostIdentity& own, const std::vector<ControllerInfo>& controllers);

}  // namespace mooncake::nvmeof_generic
