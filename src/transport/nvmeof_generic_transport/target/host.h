// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nvmet_tree.h"
#include "shared_dir.h"
#include "transport/nvmeof_generic_transport/common/host_key.h"

namespace mooncake::nvmeof_generic {

/// One host that may connect to one subsystem: the host's entry, and the link that lets it in. An
/// entry that somebody else made is used as it is and left as it is. One that this transport made
/// is marked by a second entry, whose name is no NQN and which is linked from nowhere; it is shared
/// by our targets and goes with the last of them.
class AllowedHost {
 public:
    /// @param hostNqn  one that checkNqn() accepts
    /// @param key  with which it must prove who it is; nullptr: nothing is asked, unless others ask
    ///     it on this kernel
    /// @return EOPNOTSUPP (the kernel cannot authenticate), EEXIST (others use the entry with
    ///     another key, or without) ...
    static Result<std::unique_ptr<AllowedHost>> allow(const NvmetTree& tree,
                                                      const std::string& subsystemNqn,
                                                      const std::string& hostNqn,
                                                      const HostKey* key);

    /// The NQNs of the hosts whose entries this transport made.
    static Result<std::vector<std::string>> listOwn(const NvmetTree& tree);
    static SharedDir::Place place(const NvmetTree& tree, const std::string& hostNqn);

    /// Revokes, then removes the entry with its last user.
    ~AllowedHost();
    AllowedHost(const AllowedHost&) = delete;
    AllowedHost& operator=(const AllowedHost&) = delete;

    /// Takes the link away: the host can no longer connect, but if it is connected it stays so
    /// (kernel). May be repeated.
    Result<> revoke();

 private:
    AllowedHost(const NvmetTree& tree, std::string link, std::unique_ptr<SharedDir> entry);

    const NvmetTree tree_;
    std::string link_;                        // its path, or empty
    const std::unique_ptr<SharedDir> entry_;  // nullptr: somebody else's
};

}  // namespace mooncake::nvmeof_generic
