// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "machine_check.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic::admin {

enum class Command { kHelp, kVersion, kList, kClean, kCheck };

struct CommandLine {
    Command command = Command::kHelp;
    bool json = false;
    bool all = false;
    bool dryRun = false;
    CheckWish wish;
};

/// All there is to know about the program's usage.
extern const std::string_view kHelp;

/// Not thread-safe (getopt_long(3)).
/// @param argv  null-terminated; its order may be changed
/// @return EINVAL for whatever is not in kHelp; the message says what
Result<CommandLine> parseCommandLine(int argc, char** argv);

}  // namespace mooncake::nvmeof_generic::admin
