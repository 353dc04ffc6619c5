// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iosfwd>
#include <memory>

#include "roots.h"
#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic::admin {

/// Removes what dead targets of this transport left in nvmet, as the next start of a target would,
/// and prints each object. Objects of live targets and of others stay as they are. Waits for the
/// I/O in flight of what it removes, but not for a disk that hangs: it may leave threads behind.
/// @param dryRun  print what would be removed, and remove nothing
/// @param tree  nullptr: the real file system
/// @return whether nothing failed; failures are printed to `err`
bool clean(const Roots& roots, bool dryRun, std::ostream& out, std::ostream& err,
           std::shared_ptr<ConfigTree> tree = nullptr);

}  // namespace mooncake::nvmeof_generic::admin
