// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "transport/nvmeof_generic_transport/common/transport_address.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"
#include "transport/nvmeof_generic_transport/target/target.h"

namespace mooncake::nvmeof_generic {

/// An initiator to whom the files of this node's own target need no network: their namespaces are
/// opened as the exported files themselves. Those whose file system has no direct I/O, and all that
/// other nodes export, go the usual way. Limits of size, blocks and rights are those that remote
/// hosts see.
class LocalAccess final : public Initiator {
 public:
    /// @param target  outlives this object and all that it opens
    /// @param published  where others find it
    LocalAccess(std::unique_ptr<Initiator> remote, Target& target, TransportAddresses published);

    using Initiator::connect;
    /// @return also EADDRINUSE for the target's own NQN at other addresses: who publishes that is
    ///     not this node, and gets neither its files nor their I/O
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses& addresses,
                                                const std::string& subsystemNqn) override;
    Result<RemoteNamespace> openNamespace(const Connection& connection, uint32_t nsid,
                                          uint64_t size, int openFlags,
                                          std::chrono::steady_clock::time_point deadline) override;
    Result<> checkNamespace(const Connection& connection, uint32_t nsid, uint64_t size,
                            const UniqueFd& device) override;
    void interrupt() override { remote_->interrupt(); }

 private:
    const std::unique_ptr<Initiator> remote_;
    Target& target_;
    const TransportAddresses published_;
    std::mutex mutex_;
    std::weak_ptr<Connection> own_;  // guarded by mutex_
};

}  // namespace mooncake::nvmeof_generic
