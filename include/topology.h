// SPDX-License-Identifier: Apache-2.0
// File segments have no topology. The type exists because Transport::install and SegmentDesc name
// it.
#pragma once

#include "common.h"

namespace mooncake {

class Topology {
 public:
    // Always true: nothing is discovered here.
    bool empty() const { return true; }
};

}  // namespace mooncake
