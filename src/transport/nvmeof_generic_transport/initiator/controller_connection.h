// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "address_claims.h"
#include "controller_lease.h"
#include "controller_removals.h"
#include "kernel_connection.h"
#include "path.h"
#include "path_record.h"
#include "queue_question.h"
#include "sysfs_nvme.h"
#include "transport/nvmeof_generic_transport/initiator/fabrics.h"

namespace mooncake::nvmeof_generic {

/// One controller in use by this process. Disconnects it at the end of its last use, if it is ours.
class ControllerConnection final : public KernelConnection,
                                   public std::enable_shared_from_this<ControllerConnection> {
 public:
    struct Parts {
        std::shared_ptr<Fabrics> fabrics;
        std::shared_ptr<ControllerRemovals> removals;
        std::shared_ptr<const AddressClaims::Claim> claim;  ///< kept as long as the controller
        /// The opened folder of its subsystem in sysfs; null where the kernel joins no paths.
        std::shared_ptr<const UniqueFd> subsystem;
    };
    ControllerConnection(std::string subsystemNqn, const Path& path, ControllerLease lease,
                         Parts parts);
    ~ControllerConnection() override;
    ControllerConnection(const ControllerConnection&) = delete;
    ControllerConnection& operator=(const ControllerConnection&) = delete;

    const std::string& subsystemNqn() const override { return subsystemNqn_; }
    bool isLive() const override;
    bool isReconnecting() const override;
    bool isOurs() const override { return lease_->isOurs(); }
    bool provokeAnswer(const std::shared_ptr<const UniqueFd>& device) override;
    void giveUp() override {
        beginToGiveUp();
        waitUntilGoing();
    }
    /// The two parts of giveUp(), for who has several.
    void beginToGiveUp() { startRemoval(subsystemNqn_); }
    void waitUntilGoing() const;
    bool isUsable() const override;
    std::vector<std::shared_ptr<const ControllerConnection>> controllers() const override;
    std::shared_ptr<const PathBoard> paths() const override { return board_; }

    const std::string& controllerName() const { return lease_->name(); }
    /// The controller's opened folder in sysfs.
    int dir() const { return lease_->dir(); }
    const std::shared_ptr<const UniqueFd>& subsystem() const { return parts_.subsystem; }

    /// The same as provokeAnswer() for one of several paths, with whose disks no I/O queue of this
    /// one can be asked: one that repeats data in vain has it reset.
    bool provokeAnswerOfPath();
    /// Of one of several paths: what it has goes over the others, and its connection is made anew.
    /// May take seconds.
    void resetPath() const { parts_.fabrics->reset(lease_->dir(), lease_->name()); }
    /// The same as giveUp() for one of several paths: its I/O goes over the others. Until the
    /// controller is gone, connecting over this path again fails with ETIMEDOUT.
    void giveUpPath() {
        startRemoval(removalOf(subsystemNqn_, path_));
        waitUntilGoing();
    }
    /// What ControllerRemovals calls the removal of one path.
    static std::string removalOf(const std::string& subsystemNqn, const Path& path);

 private:
    void startRemoval(const std::string& removal);
    bool isGoing() const;
    bool waitsInVain() const;
    void reset() const;

    const std::string subsystemNqn_;
    const Path path_;
    const std::shared_ptr<ControllerLease> lease_;  // shared with its removal
    const Parts parts_;
    const std::shared_ptr<PathRecord> record_;
    const std::shared_ptr<const PathBoard> board_;
    QueueQuestion queues_;
    std::atomic<bool> givenUp_{false};
};

}  // namespace mooncake::nvmeof_generic
