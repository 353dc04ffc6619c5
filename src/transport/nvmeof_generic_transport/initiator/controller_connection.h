// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "controller_lease.h"
#include "controller_removals.h"
#include "queue_question.h"
#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

namespace mooncake::nvmeof_generic {

/// One controller in use by this process. Disconnects it at the end of its last use, if it is ours.
class ControllerConnection final : public Connection {
 public:
    ControllerConnection(std::string subsystemNqn, ControllerLease lease,
                         std::shared_ptr<Fabrics> fabrics,
                         std::shared_ptr<ControllerRemovals> removals);
    ~ControllerConnection() override;
    ControllerConnection(const ControllerConnection&) = delete;
    ControllerConnection& operator=(const ControllerConnection&) = delete;

    const std::string& subsystemNqn() const override { return subsystemNqn_; }
    bool isLive() const override;
    bool isReconnecting() const override;
    bool isOurs() const override { return lease_->isOurs(); }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>& device) override;
    void giveUp() override;
    const std::string& controllerName() const { return lease_->name(); }
    /// The controller's opened folder in sysfs.
    int dir() const { return lease_->dir(); }
    /// Whether the controller is there and not being deleted; it may be reconnecting.
    bool isUsable() const;

 private:
    const std::string subsystemNqn_;
    const std::shared_ptr<ControllerLease> lease_;  // shared with its removal
    const std::shared_ptr<Fabrics> fabrics_;
    const std::shared_ptr<ControllerRemovals> removals_;
    QueueQuestion queues_;
    std::atomic<bool> givenUp_{false};
};

}  // namespace mooncake::nvmeof_generic
