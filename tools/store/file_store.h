// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "output.h"

namespace mooncake::store::tool {

// The whole program. Not thread-safe.
// @param argv  null-terminated; its order may be changed
// @return the exit status: 0 done, 1 something failed, 2 wrong usage
int run(int argc, char** argv, Output& output);

}  // namespace mooncake::store::tool
