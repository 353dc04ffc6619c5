// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common.h"

namespace mooncake {

// The location of memory that may lie on any NUMA node.
inline const std::string kWildcardLocation = "*";

}  // namespace mooncake
