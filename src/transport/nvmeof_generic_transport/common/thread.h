// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Starts a thread that receives no signals: they are for the threads of the program. Never throws:
/// std::thread does for want of a thread.
/// @param name  for debuggers, 15 characters at most
/// @return EAGAIN, or what pthread_create says, with the limits that may be reached; ENOMEM
Result<std::thread> startThread(const std::string& name, std::function<void()> body);

}  // namespace mooncake::nvmeof_generic
