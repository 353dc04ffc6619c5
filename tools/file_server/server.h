// SPDX-License-Identifier: Apache-2.0
// The server from its start to its end.
#pragma once

#include <iosfwd>
#include <string>

#include "server_config.h"
#include "service_notice.h"
#include "service_signals.h"

namespace mooncake::file_server {

enum ExitStatus { kDone = 0, kFailed = 1, kWrongConfig = 2 };

/// Says what is wrong with a configuration and its files, and exports nothing.
/// @return kWrongConfig; kFailed where a file cannot be served and the configuration is strict
ExitStatus check(const std::string& configPath, std::ostream& out, std::ostream& err);

/// Serves until it is asked to stop; reads the configuration again whenever it is asked to.
/// @param takeover  as the setting of that name, whatever that says
/// @return kWrongConfig; kFailed, with the cause in the log, where it cannot start, or has left
///     something behind at the end
ExitStatus serve(const std::string& configPath, bool takeover, ServiceSignals& signals,
                 ServiceNotice& notice);

}  // namespace mooncake::file_server
