// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "nvmet_tree.h"

namespace mooncake::nvmeof_generic {

/// Removes what dead targets of this transport left in the tree: subsystems of ours that nobody has
/// locked, with everything in them and their links from ports of ours; then ports and hosts of ours
/// without users. Nothing else is touched. Waits for the I/O in flight of the orphans. What cannot
/// be removed is logged.
/// @return how many subsystems were removed
size_t removeOrphans(const NvmetTree& tree);

}  // namespace mooncake::nvmeof_generic
