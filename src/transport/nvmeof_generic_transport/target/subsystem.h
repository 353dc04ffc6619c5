// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "claim.h"
#include "nvmet_tree.h"

namespace mooncake::nvmeof_generic {

/// A subsystem of this transport: its name says that it is ours, its Claim whose.
class Subsystem {
 public:
    /// Makes an empty subsystem and claims it.
    /// @param allowAnyHost  else only hosts that are linked to it may connect
    static Result<std::unique_ptr<Subsystem>> create(const NvmetTree& tree, const std::string& nqn,
                                                     bool allowAnyHost);
    /// Takes over a subsystem of ours whose owner is dead, so that the caller may empty and remove
    /// it. Unlike a created one it stays where it is when the claim ends without remove().
    /// @return EWOULDBLOCK when the owner lives, or another process takes it over
    static Result<std::unique_ptr<Subsystem>> claim(const NvmetTree& tree, const TreeLock&,
                                                    const std::string& nqn);

    /// Removes it if it was created here and remove() has not succeeded yet.
    ~Subsystem();
    Subsystem(const Subsystem&) = delete;
    Subsystem& operator=(const Subsystem&) = delete;

    const std::string& nqn() const { return nqn_; }

    /// Removes it. Its namespaces, its allowed hosts and its links from ports must be gone.
    Result<> remove();

 private:
    Subsystem(const NvmetTree& tree, const std::string& nqn, std::unique_ptr<Claim> claim,
              bool removeAtEnd)
        : tree_(tree), nqn_(nqn), claim_(std::move(claim)), removeAtEnd_(removeAtEnd) {}

    const NvmetTree tree_;
    const std::string nqn_;
    std::unique_ptr<Claim> claim_;  // null when removed
    bool removeAtEnd_;
};

}  // namespace mooncake::nvmeof_generic
