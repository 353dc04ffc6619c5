// SPDX-License-Identifier: Apache-2.0
#include "controller_connection.h"

#include <glog/logging.h>

#include <utility>

#include "tcp_flows.h"

namespace mooncake::nvmeof_generic {

ControllerConnection::ControllerConnection(std::string subsystemNqn, ControllerLease lease,
                                           std::shared_ptr<Fabrics> fabrics,
                                           std::shared_ptr<ControllerRemovals> removals)
    : subsystemNqn_(std::move(subsystemNqn)),
      lease_(std::make_shared<ControllerLease>(std::move(lease))),
      fabrics_(std::move(fabrics)),
      removals_(std::move(removals)) {}

ControllerConnection::~ControllerConnection() {
    if (givenUp_) return;
    // Others hold the gate for moments only, unless they are deleting the controller themselves.
    constexpr std::chrono::seconds kGateLimit{2};
    if (!lease_->endsLast(Poll(Clock::now() + kGateLimit, {}))) return;
    if (const auto gone =
            fabrics_->disconnect(lease_->dir(), lease_->name(), Fabrics::Haste::kNone);
        !gone.ok()) {
        LOG(ERROR) << subsystemNqn_ << ": " << gone.error().message;
    } else {
        LOG(INFO) << "disconnected controller " << lease_->name() << " of " << subsystemNqn_;
    }
}

bool ControllerConnection::isUsable() const {
    const auto state = SysfsNvme::readState(lease_->dir());
    return state.ok() && state.value() != ControllerState::kGoing;
}

bool ControllerConnection::isLive() const {
    // Nothing but the state: other files make the kernel wait for a queue that is being stopped.
    const auto state = SysfsNvme::readState(lease_->dir());
    return state.ok() && state.value() == ControllerState::kLive;
}

bool ControllerConnection::isReconnecting() const {
    const auto state = SysfsNvme::readState(lease_->dir());
    return state.ok() && state.value() == ControllerState::kConnecting;
}

bool ControllerConnection::provokeAnswer(const std::shared_ptr<const UniqueFd>& device) {
    fabrics_->provokeAnswer(lease_->dir(), lease_->name());
    const bool asked = device == nullptr || queues_.ask(fabrics_, lease_->dir(), device);
    const auto info = SysfsNvme::describeController(lease_->dir(), lease_->name());
    const bool inVain = info.ok() && info.value().trtype == "tcp" &&
                        waitsInVain(info.value().traddr, info.value().trsvcid);
    if (asked || !inVain) return isLive() && !inVain;
    // A queue is full. Had its packets arrived, its disk would hang, and everything be as it should
    // be.
    LOG_EVERY_T(WARNING, 10) << subsystemNqn_ << ": an I/O queue of controller " << lease_->name()
                             << " is full, and its packets are not acknowledged; resetting it";
    fabrics_->reset(lease_->dir(), lease_->name());
    return false;
}

void ControllerConnection::giveUp() {
    if (givenUp_.exchange(true)) return;
    removals_->start(subsystemNqn_, [lease = lease_, fabrics = fabrics_, nqn = subsystemNqn_] {
        const auto gone =
            fabrics->disconnect(lease->dir(), lease->name(), Fabrics::Haste::kTakeDown);
        if (!gone.ok()) LOG(ERROR) << nqn << ": " << gone.error().message;
    });
    // The kernel marks it before anything that takes long.
    constexpr std::chrono::seconds kMarkLimit{2};
    Poll poll(Clock::now() + kMarkLimit, {});
    while (isUsable() && poll.wait()) {
    }
}

}  // namespace mooncake::nvmeof_generic
