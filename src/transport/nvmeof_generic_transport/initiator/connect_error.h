// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "path.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// The error for a connection that the kernel or the network refused: what was tried, the text of
/// `code`, and the most likely remedy.
/// @param code  positive errno value
/// @param cause  where it is known: in place of the most likely one
Error connectError(int code, const Path& path, const std::string& subsystemNqn,
                   const std::string& hostNqn, const std::string& cause = "");

}  // namespace mooncake::nvmeof_generic
