// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "error.h"

namespace mooncake::store {

// Starts a thread that receives no signals: they are for the threads of the program.
//   name   for debuggers, 15 characters at most
//   body   throws nothing: there is nobody to catch it
// kInternal where the system grants none, with the limits that may be reached, and where there is
// no memory; std::thread would throw.
Result<std::thread> startThread(const std::string& name, std::function<void()> body);

}  // namespace mooncake::store
