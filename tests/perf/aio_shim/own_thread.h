// SPDX-License-Identifier: Apache-2.0
// A thread of the shim's own, whose costs are not the program's.
#pragma once

#include <cstdint>
#include <functional>

namespace aio_shim {

/// Starts a thread that runs until the process ends, without signals.
void startThread(const char* name, std::function<void()> body);

/// Of all threads that were started so.
double cpuSecondsOfThreads();
uint64_t switchesOfThreads();

}  // namespace aio_shim
