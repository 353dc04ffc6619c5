// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

namespace mooncake::nvmeof_generic {

/// Calls `work(i)` once for each i below `count`, on up to `maxThreads` threads (the caller's one
/// of them), and returns when all have ended. `work` must not throw. With fewer threads than
/// wanted, or none, to be had from the system it just takes longer.
void forEachInParallel(size_t count, size_t maxThreads, const std::function<void(size_t)>& work);

}  // namespace mooncake::nvmeof_generic
