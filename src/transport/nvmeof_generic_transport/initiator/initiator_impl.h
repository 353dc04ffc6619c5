// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "address_claims.h"
#include "connect_order.h"
#include "connection_table.h"
#include "controller_notes.h"
#include "controller_removals.h"
#include "last_paths.h"
#include "namespace_opener.h"
#include "path_group.h"
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

    using Initiator::connect;
    Result<std::shared_ptr<Connection>> connect(const TransportAddresses& addresses,
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
    using Made = PathGroup::Made;

    /// What a connection leads to.
    struct Segment {
        std::string nqn;
        TransportAddresses addresses;
    };
    /// One attempt over one path.
    struct Attempt {
        const Segment& segment;
        const Path& path;
        Clock::time_point deadline;
        std::stop_token stop;
        /// No other controller of the subsystem may be there: the kernel would join the two.
        bool alone = false;
        std::shared_ptr<const AddressClaims::Claim> claim = nullptr;
    };

    /// What an attempt begins with.
    struct Prepared {
        ConnectOrder::Turn turn;
        Probed probed;
    };

    /// Asks the target, and waits until it is its turn.
    Result<Prepared> prepare(const Attempt& attempt);
    /// Has the kernel make a controller, when it is this target's turn. @return its name
    Result<std::string> makeController(const Attempt& attempt);
    /// @param alone  as Attempt::alone. @return EBUSY where there is another one
    Made findOrMake(const Segment& segment, const Path& path, const std::stop_token& stop,
                    bool alone);
    ControllerConnection::Parts partsOf(const std::string& controller,
                                        const Attempt& attempt) const;
    Made use(const std::string& controller, const Attempt& attempt);
    Made useMade(const std::string& controller, const Attempt& attempt);
    /// Whether a controller that was just made is what was wanted, and alone; otherwise takes it
    /// down at once.
    Result<> checkMade(int dir, const std::string& controller, const Attempt& attempt) const;
    Result<UniqueFd> openController(const std::string& controller, const Attempt& attempt) const;
    bool isUsable(const ControllerInfo& controller, const Segment& segment, const Path& path) const;
    /// What an attempt that is to be alone must not meet; null where there is none.
    const ControllerInfo* findOther(const std::vector<ControllerInfo>& controllers,
                                    const Attempt& attempt) const;
    /// A controller of the same subsystem that was there before one that was just made, where it is
    /// to be alone; null where there is none.
    static const ControllerInfo* findOlder(const std::vector<ControllerInfo>& controllers,
                                           const ControllerInfo& made, const Attempt& attempt);

    /// The kernel joins several controllers of a subsystem to the same disks.
    bool kernelJoinsPaths() const;
    Connected connectAll(const Segment& segment, const Paths& paths);
    /// One path, and another one where that has failed.
    Connected connectOne(const Segment& segment, const Paths& paths);
    /// The one that is up, or the first that answers; one that has just failed if no other does.
    Result<Path> choosePath(const Segment& segment, const Paths& paths, Clock::time_point deadline);
    Result<> giveUpOthers(const Segment& segment, const Path& chosen, Clock::time_point deadline);

    const InitiatorOptions options_;
    const std::shared_ptr<Fabrics> fabrics_;
    const std::shared_ptr<ControllerRemovals> removals_;
    const HostIdentity host_;
    const SysfsNvme sysfs_;
    const NamespaceOpener opener_;
    std::stop_source stop_;
    const std::shared_ptr<const RunFolder> run_;
    const ControllerNotes notes_;
    AddressClaims claims_;
    ConnectOrder order_;
    LastPaths lastPaths_;
    std::atomic<size_t> unasked_{0};  // paths that were chosen without an answer
    ConnectionTable connections_;
};

}  // namespace mooncake::nvmeof_generic
