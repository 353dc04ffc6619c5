// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/common/host_key.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {

/// Who may connect to a target, as its options and the files that they name say: what
/// Target::start() begins with, and what a check without a start tries, too.
struct AccessPlan {
    enum class Step { kAddress, kHosts, kKeys };

    bool anyHost;
    std::set<std::string> hosts;

    /// Reads the list of hosts and the key of each, and keeps no key.
    /// @param failedAt  receives what an error is about, may be nullptr
    /// @return EINVAL, ENOENT, EACCES ...: what is wrong with addresses, list or keys; none of it
    ///     gets better without the operator
    static Result<AccessPlan> make(const TransportAddresses& addresses,
                                   const TargetOptions& options, Step* failedAt = nullptr);
};

/// The hosts that options.allowedHosts or options.allowedHostsFile lists.
Result<std::set<std::string>> readHosts(const TargetOptions& options);

/// @return EINVAL where one is no NQN
Result<std::set<std::string>> checkHosts(const std::vector<std::string>& hosts);

/// The key of an allowed host, of which the message says that it gets no access without.
Result<HostKey> readHostKey(const std::string& keyFolder, const std::string& hostNqn,
                            PathCheck check);

}  // namespace mooncake::nvmeof_generic
