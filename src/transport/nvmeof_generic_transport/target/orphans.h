// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "nvmet_tree.h"

namespace mooncake::nvmeof_generic {

struct OrphanReport {
    std::vector<std::string> removed;  ///< paths of the subsystems, ports and hosts that are gone
    std::vector<Error> failures;       ///< what could not be looked for or removed
};

/// Removes what dead targets of this transport left in the tree: subsystems of ours whose owner is
/// dead (Claim), with everything in them and their links from ports of ours; then ports and hosts
/// of ours without users. Nothing else is touched. Waits for the I/O in flight of the orphans. What
/// cannot be removed is in the report, and left to the next call.
/// @param limit  how long to wait for an orphan of which nothing goes: its disk hangs. It stays
///     claimed, and goes when the kernel lets it, for as long as this process lives
OrphanReport removeOrphans(const NvmetTree& tree, std::chrono::milliseconds limit);

}  // namespace mooncake::nvmeof_generic
