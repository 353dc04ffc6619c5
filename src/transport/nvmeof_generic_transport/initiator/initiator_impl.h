// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "connect_order.h"
#include "connection_table.h"
#include "namespace_opener.h"
#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace mooncake::nvmeof_generic {

class InitiatorImpl final : public Initiator {
 public:
    /// @param options  checked
    /// @param open  openBlockDevice(), or a test's
    InitiatorImpl(const InitiatorOptions& options, std::shared_ptr<Fabrics> fabrics,
                  HostIdentity host, DeviceOpen open);

    Result<std::shared_ptr<Connection>> connect(const TransportAddress& address,
                                                const std::string& subsystemNqn) override;
    Result<RemoteNamespace> openNamespace(const Connection& connection, uint32_t nsid,
                                          uint64_t size, int openFlags,
                                          Clock::time_point deadline) override;
    void interrupt() override { stop_.request_stop(); }

    const ConnectOrder& connectOrder() const { return order_; }

 private:
    using Connected = ConnectionTable::Connected;

    /// Has the kernel make a controller, when it is this target's turn. @return its name
    Result<std::string> makeController(const TransportAddress& address,
                                       const std::string& subsystemNqn, const HostIdentity& host,
                                       Clock::time_point deadline);
    Connected findOrMake(const TransportAddress& address, const std::string& subsystemNqn);
    Connected use(const std::string& controller, const std::string& subsystemNqn, const Poll& poll);
    Connected useMade(const std::string& controller, const std::string& subsystemNqn,
                      const Poll& poll);
    Result<UniqueFd> openController(const std::string& controller,
                                    const std::string& subsystemNqn) const;

    const InitiatorOptions options_;
    const std::shared_ptr<Fabrics> fabrics_;
    const HostIdentity host_;
    const SysfsNvme sysfs_;
    const NamespaceOpener opener_;
    std::stop_source stop_;
    ConnectOrder order_;
    ConnectionTable connections_;
};

}  // namespace mooncake::nvmeof_generic
