// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// Opens the device node <devRoot>/<name> of a controller.
/// @param controllerDir  the controller's opened folder in sysfs
/// @return none where there is no node, or another controller has the name by now
UniqueFd openControllerNode(const std::string& devRoot, int controllerDir, const std::string& name);

}  // namespace mooncake::nvmeof_generic
