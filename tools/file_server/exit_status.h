// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mooncake::file_server {

/// kWrongConfig is for what stays wrong until the operator changes something: a service manager
/// does not try it again.
enum ExitStatus { kDone = 0, kFailed = 1, kWrongConfig = 2 };

}  // namespace mooncake::file_server
