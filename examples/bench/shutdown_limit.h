// SPDX-License-Identifier: Apache-2.0
// An end to the program when its engine cannot shut down.
#pragma once

#include <chrono>

#include "bench/failure.h"

namespace mooncake::bench {

/// Reports `failure` and ends the process with its code unless the process has ended by itself
/// within `limit`: where I/O hangs, the engine may wait for it for ever.
void limitShutdown(const Failure& failure, std::chrono::seconds limit);

}  // namespace mooncake::bench
