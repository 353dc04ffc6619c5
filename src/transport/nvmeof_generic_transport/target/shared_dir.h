// SPDX-License-Identifier: Apache-2.0
// A folder in configfs that several targets of this transport use: a port or a host.
#pragma once

#include <memory>
#include <string>

#include "nvmet_tree.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// One target's use of a shared folder. A folder that this transport made carries a marker, a
/// second folder that nvmet takes no notice of; each user holds a shared lock on the folder, and
/// the last one removes both. The marker is made after its folder and removed before it: what a
/// crash in between leaves is an unmarked folder without any effect, never a marker on a
/// stranger's.
class SharedDir {
 public:
    /// Where a shared folder is, and what marks it as ours.
    struct Place {
        std::string path;
        std::string marker;
    };

    /// Makes folder and marker. @return EEXIST when the folder is there already
    static Result<std::unique_ptr<SharedDir>> create(const NvmetTree& tree, const TreeLock&,
                                                     const Place& place);
    /// Joins the users of a folder of ours. @return ENOENT when it is not there or not marked
    static Result<std::unique_ptr<SharedDir>> join(const NvmetTree& tree, const TreeLock&,
                                                   const Place& place);

    /// Removes the folder unless it has users. Also for folders whose users have died.
    /// @param lock  the caller's own lock on the folder, or empty; given up in any case
    /// @return EBUSY when other targets use it (their locks say so), ENOTEMPTY when objects of
    ///     others hang on it (the kernel says so)
    static Result<> removeUnused(const NvmetTree& tree, const TreeLock&, const Place& place,
                                 ProcessFd lock);

    /// Ends this use; takes the TreeLock itself, so not while the caller holds it.
    ~SharedDir();

    SharedDir(const SharedDir&) = delete;
    SharedDir& operator=(const SharedDir&) = delete;

    const std::string& path() const { return place_.path; }

 private:
    SharedDir(const NvmetTree& tree, const Place& place, ProcessFd lock)
        : tree_(tree), place_(place), lock_(std::move(lock)) {}

    const NvmetTree tree_;
    const Place place_;
    ProcessFd lock_;
};

}  // namespace mooncake::nvmeof_generic
