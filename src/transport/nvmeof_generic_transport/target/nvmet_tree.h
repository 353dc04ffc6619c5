// SPDX-License-Identifier: Apache-2.0
// Where things are in nvmet's configfs tree, the lock that orders the changes to what is shared in
// it, and the errors it gives.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic {

struct NvmetTree {
    std::shared_ptr<ConfigTree> files;
    std::string root;
    std::string proc = "/proc";

    std::string subsystems() const { return root + "/subsystems"; }
    std::string subsystem(const std::string& nqn) const { return subsystems() + "/" + nqn; }
    std::string ports() const { return root + "/ports"; }
    std::string port(const std::string& id) const { return ports() + "/" + id; }
    std::string hosts() const { return root + "/hosts"; }
    std::string host(const std::string& nqn) const { return hosts() + "/" + nqn; }
};

/// Checks that there is an nvmet tree.
/// @param trtype  named in the remedy
/// @return ENOENT (configfs not mounted, or nvmet not loaded: the message says which), EACCES ...
Result<> checkUsable(const NvmetTree& tree, const std::string& trtype);

/// An Error for a failed operation on the tree, with a remedy where the errno alone tells the
/// cause.
/// @param what  see makeError()
Error treeError(int code, const std::string& what);

/// What a removal wants is that the object is gone: ENOENT counts as success.
inline int unlessGone(int code) {
    return code == ENOENT ? 0 : code;
}

/// The lock of all targets of this transport on one kernel, in whatever process or container: a
/// folder among nvmet's hosts that is there while it is held. Held for a few quick operations only,
/// never over one that waits for I/O. It orders: making a subsystem and claiming it against taking
/// over orphans; making, joining and removing ports and hosts that several targets share.
///
/// flock(2) asks for no more than the right to read. So whoever takes this lock first closes
/// nvmet's `subsystems`, `ports` and `hosts` to all but root, for as long as the kernel has them:
/// what is made in them afterwards, this lock's own folder with it, no user without privileges can
/// open.
class TreeLock {
 public:
    /// Waits for the lock until `limit` has passed.
    /// @return EBUSY when others held it all the time
    static Result<TreeLock> acquire(const NvmetTree& tree,
                                    std::chrono::milliseconds limit = std::chrono::seconds(10));
    TreeLock(TreeLock&&) noexcept = default;
    ~TreeLock();

 private:
    TreeLock(const NvmetTree& tree, ProcessFd lock) : tree_(tree), lock_(std::move(lock)) {}

    NvmetTree tree_;
    ProcessFd lock_;
};

}  // namespace mooncake::nvmeof_generic
