// SPDX-License-Identifier: Apache-2.0
// The server from its start to its end.
#pragma once

#include <string>

#include "exit_status.h"
#include "service_notice.h"
#include "service_signals.h"

namespace mooncake::file_server {

/// Serves until it is asked to stop; reads the configuration again whenever it is asked to.
/// @param control  where a reload may be asked for, see ControlSocket; empty: by SIGHUP only
/// @param takeover  as the setting of that name, whatever that says
/// @return kWrongConfig for what stays wrong until the operator changes something, wherever it was
///     found; kFailed, with the cause in the log, where it cannot start, or has left something
///     behind at the end
ExitStatus serve(const std::string& configPath, const std::string& control, bool takeover,
                 ServiceSignals& signals, ServiceNotice& notice);

}  // namespace mooncake::file_server
