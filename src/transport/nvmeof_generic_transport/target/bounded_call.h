// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>

namespace mooncake::nvmeof_generic {

/// Runs `work`, which the kernel may hold for ever, on a thread of its own.
/// @param work  owns what it uses
/// @return false when it had not ended within the limit: it goes on, and this library stays loaded
bool endsWithin(std::chrono::milliseconds limit, std::function<void()> work);

}  // namespace mooncake::nvmeof_generic
