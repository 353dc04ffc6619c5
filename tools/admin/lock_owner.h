// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace mooncake::nvmeof_generic::admin {

/// The process that holds a flock(2) on a file or folder, as /proc/locks tells (proc(5)).
/// @return nothing when nobody holds one, or a process that is not in our PID namespace
std::optional<pid_t> lockOwner(const std::string& procRoot, const std::string& path);

}  // namespace mooncake::nvmeof_generic::admin
