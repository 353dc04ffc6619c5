// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <iosfwd>

#include "roots.h"

namespace mooncake::nvmeof_generic::admin {

/// The whole program.
/// @param argv  null-terminated; its order may be changed
/// @param euid  who runs it
/// @return the exit status: 0, 1 (something failed) or 2 (usage)
int run(int argc, char** argv, const Roots& roots, uid_t euid, std::ostream& out,
        std::ostream& err);

}  // namespace mooncake::nvmeof_generic::admin
