// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "config_sections.h"

namespace mooncake::file_server {

struct CommandLine {
    enum class Action { kServe, kCheck, kReload, kHelp, kVersion };

    Action action = Action::kServe;
    std::string config;     ///< path of the configuration file
    std::string control;    ///< path of the control socket; empty: none was named
    bool json = false;      ///< of a check
    bool takeover = false;  ///< as the setting of that name
};

/// All there is to know about the program's usage.
std::string helpText();

/// Not thread-safe (getopt_long(3)).
/// @param argv  null-terminated; its order may be changed
/// @return EINVAL for whatever is not in helpText(); the message says what
Result<CommandLine> parseCommandLine(int argc, char** argv);

}  // namespace mooncake::file_server
