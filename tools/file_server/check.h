// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <string>

#include "exit_status.h"
#include "rehearsal.h"

namespace mooncake::file_server {

/// Says what is wrong with a configuration, this machine, and the files, and changes nothing.
/// @param json  one JSON object on `out` in place of lines; of those, warnings and errors go to
///     `err`
/// @return kWrongConfig: a start would end with it; kFailed: a start would fail, and another one
///     later need not
ExitStatus check(const std::string& configPath, bool json, std::ostream& out, std::ostream& err,
                 const Machine& machine = {});

}  // namespace mooncake::file_server
