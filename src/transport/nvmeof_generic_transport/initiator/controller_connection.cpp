// SPDX-License-Identifier: Apache-2.0
#include "controller_connection.h"

#include <glog/logging.h>

#include <functional>
#include <optional>
#include <utility>

#include "tcp_flows.h"

namespace mooncake::nvmeof_generic {

ControllerConnection::ControllerConnection(std::string subsystemNqn, const Path& path,
                                           ControllerLease lease, Parts parts)
    : subsystemNqn_(std::move(subsystemNqn)),
      path_(path),
      lease_(std::make_shared<ControllerLease>(std::move(lease))),
      parts_(std::move(parts)),
      record_(std::make_shared<PathRecord>(path)),
      board_(
          std::make_shared<PathRecords>(std::vector<std::shared_ptr<const PathRecord>>{record_})) {
    record_->connected(lease_->name(), lease_->dir(), parts_.subsystem);
}

ControllerConnection::~ControllerConnection() {
    if (givenUp_) return;
    std::optional<bool> last;
    withMemory([&] {
        // Others hold the gate for moments only, unless they are deleting the controller
        // themselves.
        constexpr std::chrono::seconds kGateLimit{2};
        if (!last) last = lease_->endsLast(Poll(Clock::now() + kGateLimit, {}));
        if (!*last) return;
        const auto gone =
            parts_.fabrics->disconnect(lease_->dir(), lease_->name(), Fabrics::Haste::kNone);
        if (!gone.ok()) {
            LOG(ERROR) << subsystemNqn_ << ": " << gone.error().message;
        } else {
            LOG(INFO) << "disconnected controller " << lease_->name() << " of " << subsystemNqn_;
        }
    });
}

bool ControllerConnection::isUsable() const {
    return !givenUp_ && !isGoing();
}

bool ControllerConnection::isGoing() const {
    const auto state = SysfsNvme::readState(lease_->dir());
    return !state.ok() || state.value() == ControllerState::kGoing;
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

std::vector<std::shared_ptr<const ControllerConnection>> ControllerConnection::controllers() const {
    return {shared_from_this()};
}

bool ControllerConnection::waitsInVain() const {
    const auto info = SysfsNvme::describeController(lease_->dir(), lease_->name());
    if (!info.ok() || info.value().trtype != "tcp") return false;
    // Without a source, all flows to the target count.
    const bool live = info.value().state == ControllerState::kLive;
    const auto source = live ? SysfsNvme::readSourceAddress(lease_->dir()) : std::string();
    return nvmeof_generic::waitsInVain(info.value().traddr, info.value().trsvcid, source);
}

void ControllerConnection::reset() const {
    LOG_EVERY_T(WARNING, 10) << subsystemNqn_ << ": an I/O queue of controller " << lease_->name()
                             << " is full, and its packets are not acknowledged; resetting it";
    parts_.fabrics->reset(lease_->dir(), lease_->name());
}

bool ControllerConnection::provokeAnswer(const std::shared_ptr<const UniqueFd>& device) {
    static_cast<void>(parts_.fabrics->provokeAnswer(lease_->dir(), lease_->name()));
    const bool asked = device == nullptr || queues_.ask(parts_.fabrics, lease_->dir(), device);
    const bool inVain = waitsInVain();
    if (asked || !inVain) return isLive() && !inVain;
    // A queue is full. Had its packets arrived, its disk would hang, and everything be as it should
    // be.
    reset();
    return false;
}

bool ControllerConnection::provokeAnswerOfPath() {
    if (!parts_.fabrics->provokeAnswer(lease_->dir(), lease_->name()) || !isLive()) return false;
    if (!waitsInVain()) return true;
    reset();
    return false;
}

std::string ControllerConnection::removalOf(const std::string& subsystemNqn, const Path& path) {
    return subsystemNqn + " at " + toString(path);
}

void ControllerConnection::startRemoval(const std::string& removal) {
    // First what may find no memory: then nothing has begun.
    const std::function<void()> work = [lease = lease_, fabrics = parts_.fabrics,
                                        claim = parts_.claim, nqn = subsystemNqn_] {
        const auto gone =
            fabrics->disconnect(lease->dir(), lease->name(), Fabrics::Haste::kTakeDown);
        if (!gone.ok()) LOG(ERROR) << nqn << ": " << gone.error().message;
    };
    if (!givenUp_.exchange(true)) parts_.removals->start(removal, work);
}

void ControllerConnection::waitUntilGoing() const {
    // The kernel marks it before anything that takes long.
    constexpr std::chrono::seconds kMarkLimit{2};
    Poll poll(Clock::now() + kMarkLimit, {});
    while (!isGoing() && poll.wait()) {
    }
}

}  // namespace mooncake::nvmeof_generic
