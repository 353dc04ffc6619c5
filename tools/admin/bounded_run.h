// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <iosfwd>
#include <optional>

namespace mooncake::nvmeof_generic::admin {

using Work = std::function<int(std::ostream& out, std::ostream& err)>;

/// Runs `work` in a child process, and passes on what it prints. The kernel may hold whoever looks
/// at, or removes, a namespace whose disk hangs, and a process whose thread it holds cannot end:
/// that is the child then, and nobody waits for it. Call it while there is one thread only.
/// @param limit  none: `work` returns in time by itself, but may leave threads behind that do not
/// @return what `work` returned; 1 when it threw, the limit was over, or the child died: `err` says
///     which
int runBounded(const Work& work, std::optional<std::chrono::milliseconds> limit, std::ostream& out,
               std::ostream& err);

}  // namespace mooncake::nvmeof_generic::admin
