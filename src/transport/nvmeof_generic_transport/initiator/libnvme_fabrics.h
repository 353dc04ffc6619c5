// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic {

/// Connects through libnvme. Thread-safe: calls wait for each other, as they would in the kernel.
/// Tries the options' keys as Fabrics::connect() does.
/// @param address, subsystemNqn, host  checked: libnvme escapes nothing and resolves host names
/// @return the new controller's name; the kernel's errno with connectError()'s message
Result<std::string> connectWithLibnvme(const Path& path, const std::string& subsystemNqn,
                                       const HostIdentity& host, const InitiatorOptions& options,
                                       const Probed& probed);

}  // namespace mooncake::nvmeof_generic
