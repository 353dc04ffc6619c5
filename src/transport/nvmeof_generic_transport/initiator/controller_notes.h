// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "run_folder.h"

namespace mooncake::nvmeof_generic {

/// Which controllers of this machine were made by this transport: a file of the RunFolder for each,
/// so that what a killed process has left is known for ours (ControllerLease) and not taken for
/// somebody else's. A controller is named by the inode of its folder in sysfs, which no other
/// object has until the machine starts anew (fs/kernfs/dir.c, __kernfs_new_node: the number grows,
/// and its upper half counts how often the lower one began anew). Names as nvme3 are used again.
/// A note counts where the locks of a ControllerLease tell of each other: in one mount of sysfs,
/// that is, in one network namespace. Without a folder there are no notes. Thread-safe.
class ControllerNotes {
 public:
    /// Removes the notes of controllers that are gone.
    /// @param sysRoot  "/sys", or another folder in unit tests
    ControllerNotes(std::shared_ptr<const RunFolder> folder, std::string sysRoot);

    /// Notes a controller that its maker holds a lease of, and removes what the constructor would.
    /// @param dir  its opened folder
    void add(int dir, const std::string& name) const;
    bool has(int dir) const;

 private:
    void removeOld() const;

    const std::shared_ptr<const RunFolder> folder_;
    const std::string sysRoot_;
    const std::string boot_;
};

}  // namespace mooncake::nvmeof_generic
