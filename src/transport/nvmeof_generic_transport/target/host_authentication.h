// SPDX-License-Identifier: Apache-2.0
// DH-HMAC-CHAP in nvmet: the keys belong to a host's entry, which all subsystems of a kernel share.
#pragma once

#include <string>

#include "nvmet_tree.h"
#include "transport/nvmeof_generic_transport/common/host_key.h"

namespace mooncake::nvmeof_generic {

/// Makes a host that nobody uses yet prove who it is. The kernel shows keys to every local user:
/// they are hidden first.
/// @return EOPNOTSUPP when the kernel's target cannot authenticate, or lacks the algorithm
Result<> setHostKey(const NvmetTree& tree, const std::string& hostNqn, const HostKey& key);

/// Checks that a host that others use must prove who it is with these very keys. Nothing is
/// changed: that would lock the host out of their subsystems, or let it in without a key.
/// @return EOPNOTSUPP as above; EEXIST when it has others, or none
Result<> checkHostKey(const NvmetTree& tree, const std::string& hostNqn, const HostKey& key);

}  // namespace mooncake::nvmeof_generic
