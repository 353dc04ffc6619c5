// SPDX-License-Identifier: Apache-2.0
// Whether this machine can export files, or use those of others.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "roots.h"

namespace mooncake::nvmeof_generic::admin {

enum class Verdict { kOk, kWarn, kFail };

struct Check {
    Verdict verdict;
    std::string what;
    std::string remedy;     ///< a command where there is one; "" when all is well
    std::string code = {};  ///< what was looked at, under a name that does not change
};

struct CheckWish {
    bool target = true;
    bool initiator = true;
    std::string trtype = "tcp";  ///< or "rdma"
};

/// Only looks; changes and loads nothing.
/// @param euid  who would run the node
std::vector<Check> checkMachine(const Roots& roots, const CheckWish& wish, uid_t euid);

}  // namespace mooncake::nvmeof_generic::admin
