// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "connect_order.h"
#include "connection_table.h"
#include "controller_removals.h"
#include "namespace_opener.h"
#include "path_rule.h"
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
    Result<> checkNamespace(const Connection& connection, uint32_t nsid, uint64_t size,
                            const UniqueFd& device) override;
    void interrupt() override { stop_.request_stop(); }

    const ConnectOrder& connectOrder() const { return order_; }

 private:
    using Connected = ConnectionTable::Connected;

    /// What a connection leads to.
    struct Segment {
        std::string nqn;
        SegmentAddresses addresses;
    };

    /// Asks the target, and waits until it is its turn.
    Result<ConnectOrder::Turn> prepare(const Segment& segment, Clock::time_point deadline);
    /// Has the kernel make a controller, when it is this target's turn. @return its name
    Result<std::string> makeController(const Segment& segment, Clock::time_point deadline);
    Connected findOrMake(const Segment& segment);
    Connected use(const std::string& controller, const Segment& segment, const Poll& poll);
    Connected useMade(const std::string& controller, const Segment& segment, const Poll& poll);
    /// Whether a controller that was just made is what was wanted, and alone; otherwise takes it
    /// down at once.
    Result<> checkMade(int dir, const std::string& controller, const Segment& segment) const;
    Result<UniqueFd> openController(const std::string& controller, const Segment& segment) const;

    const InitiatorOptions options_;
    const std::shared_ptr<Fabrics> fabrics_;
    const std::shared_ptr<ControllerRemovals> removals_;
    const HostIdentity host_;
    const SysfsNvme sysfs_;
    const NamespaceOpener opener_;
    std::stop_source stop_;
    ConnectOrder order_;
    ConnectionTable connections_;
};

}  // namespace mooncake::nvmeof_generic
