// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "roots.h"

namespace mooncake::nvmeof_generic::admin {

enum class ModuleState {
    kLoaded,     ///< or built into the kernel
    kAvailable,  ///< modprobe finds it
    kMissing,    ///< neither; in a container it may be on the host all the same
};

/// @param name  as modprobe takes it, "nvmet-tcp"
ModuleState moduleState(const Roots& roots, const std::string& name);

}  // namespace mooncake::nvmeof_generic::admin
