// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nvmet_tree.h"
#include "owner.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// The ownership of one subsystem of this transport: who made it, and whether he lives. It has two
/// signs, and both lie in configfs, in folders that only root can reach (TreeLock sees to that):
/// - a record, an entry among nvmet's hosts whose name is no NQN and tells the Owner; it outlives
///   him, and a process can neither inherit it nor lose it;
/// - a lock (flock(2)) on the subsystem's folder, which ends with its owner. It decides where the
///   record does not: in a PID namespace into which we do not see, or for a subsystem of an earlier
///   version of this transport, which made no records.
/// Where a record says that the owner is gone, a lock that a child of his still holds means
/// nothing.
class Claim {
 public:
    /// Makes the subsystem's folder, with record and lock.
    static Result<std::unique_ptr<Claim>> make(const NvmetTree& tree, const TreeLock&,
                                               const std::string& nqn);
    /// Takes a dead owner's place.
    /// @return EWOULDBLOCK when the owner lives, or may; ENOENT when there is no such subsystem
    static Result<std::unique_ptr<Claim>> takeOver(const NvmetTree& tree, const TreeLock&,
                                                   const std::string& nqn);

    struct Sight {
        Life life = Life::kUnknown;
        pid_t pid = 0;               ///< of a live owner in our PID namespace; 0: not in sight
        std::optional<Owner> owner;  ///< none recorded
    };
    /// Who owns a subsystem. Changes nothing.
    static Sight lookAt(const NvmetTree& tree, const TreeLock&, const std::string& nqn);

    /// Removes the records of subsystems that are not there.
    /// @param nqns  those that are
    static Result<> removeStale(const NvmetTree& tree, const TreeLock&,
                                const std::vector<std::string>& nqns);

    /// Gives it up: where the subsystem is still there, it is anybody's to take over.
    ~Claim();
    Claim(const Claim&) = delete;
    Claim& operator=(const Claim&) = delete;

    /// After the subsystem's removal: removes all records of it.
    Result<> end();

 private:
    Claim(const NvmetTree& tree, std::string nqn, std::string record)
        : tree_(tree), nqn_(std::move(nqn)), record_(std::move(record)) {}

    const NvmetTree tree_;
    const std::string nqn_;
    std::string record_;  // its path, or empty
    ProcessFd lock_;      // none where a dead owner's child holds it
};

}  // namespace mooncake::nvmeof_generic
