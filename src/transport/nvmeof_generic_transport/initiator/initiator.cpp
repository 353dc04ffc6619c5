// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

#include <fcntl.h>
#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "host_identity.h"
#include "initiator_impl.h"
#include "run_folder.h"
#include "sysfs_file.h"
#include "transport/nvmeof_generic_transport/common/host_key.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"
#include "transport/nvmeof_generic_transport/initiator/namespace_identity.h"

namespace mooncake::nvmeof_generic {
namespace {

// How long a process that is connecting may need to mark its new controller as one of ours, after
// the kernel has shown it. Taking it for somebody else's would mean to lose it when its maker goes.
constexpr std::chrono::seconds kMakerDelay{1};

// For the removal of what is to be connected to again.
constexpr std::chrono::milliseconds kRemovalPatience{200};

// How long a probe counts.
constexpr std::chrono::seconds kProbeLasts{5};

Result<> checkFabricsDevice(const std::string& path) {
    const UniqueFd device(open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (device.valid()) return {};
    switch (errno) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
            return makeError(ENOENT, path,
                             "load the kernel modules: modprobe -a nvme-fabrics nvme-tcp; for RDMA "
                             "nvme-rdma, too");
        case EACCES:
        case EPERM:
            return makeError(EACCES, "cannot open " + path,
                             "connecting to NVMe-oF targets needs root (CAP_SYS_ADMIN) and write "
                             "access to this device");
        default:
            return makeError(errno, "cannot open " + path);
    }
}

// Asked at once, so that a node does not seem to be protected: kernels that do not know the option
// refuse it, and newer versions of libnvme leave out what the kernel does not know.
Result<> checkKey(const InitiatorOptions& options) {
    if (options.keyFile.empty()) return {};
    if (auto key = readKeyFile(options.keyFile, options.pathCheck); !key.ok()) return key.error();
    // What the kernel takes (Linux 5.17 and newer say it): "instance=-1,...,dhchap_secret=%s".
    const auto known = readAttribute(AT_FDCWD, options.devRoot + "/nvme-fabrics");
    if (known.ok() && known.value().find("dhchap_secret=") != std::string::npos) return {};
    return makeError(EOPNOTSUPP, "cannot use the key file " + options.keyFile,
                     "this kernel's initiator has no authentication (DH-HMAC-CHAP): it takes one "
                     "built with CONFIG_NVME_HOST_AUTH or CONFIG_NVME_AUTH, as Debian's 6.12 is");
}

// Another one's controller can have settings with which I/O hangs for minutes.
void warnOfSlowFailure(const ControllerConnection& connection, const InitiatorOptions& options) {
    const auto limit = readAttribute(connection.dir(), "fast_io_fail_tmo");
    if (!limit.ok() || limit.value() == std::to_string(options.fastIoFail.count())) return;
    LOG(WARNING) << "using controller " << connection.controllerName() << " of "
                 << connection.subsystemNqn()
                 << ", which something else connected: its fast_io_fail_tmo is '" << limit.value()
                 << "' instead of " << options.fastIoFail.count()
                 << " s, which decides how long I/O hangs when its target is gone";
}

}  // namespace

Result<std::unique_ptr<Initiator>> Initiator::create(const InitiatorOptions& options,
                                                     std::shared_ptr<Fabrics> fabrics) {
    if (auto checked = checkInitiatorOptions(options); !checked.ok()) return checked.error();
    auto host = loadHostIdentity(options);
    if (!host.ok()) return host.error();
    if (!fabrics) {
        auto device = checkFabricsDevice(options.devRoot + "/nvme-fabrics");
        if (!device.ok()) return device.error();
        fabrics = makeKernelFabrics(options.devRoot);
    }
    if (auto key = checkKey(options); !key.ok()) return key.error();
    LOG(INFO) << "NVMe-oF initiator with host NQN " << host.value().nqn;
    return std::unique_ptr<Initiator>(
        std::make_unique<InitiatorImpl>(options, std::move(fabrics), host.take(), openBlockDevice));
}

InitiatorImpl::InitiatorImpl(const InitiatorOptions& options, std::shared_ptr<Fabrics> fabrics,
                             HostIdentity host, DeviceOpen open)
    : options_(options),
      fabrics_(std::move(fabrics)),
      removals_(std::make_shared<ControllerRemovals>()),
      host_(std::move(host)),
      sysfs_(options.sysRoot),
      opener_(options.sysRoot, options.devRoot, std::move(open)),
      order_(std::make_shared<RunFolder>(options.runRoot)) {}

Result<std::shared_ptr<Connection>> InitiatorImpl::connect(const TransportAddress& address,
                                                           const std::string& subsystemNqn) {
    if (auto checked = checkAddress(address); !checked.ok()) return checked.error();
    if (auto checked = checkNqn(subsystemNqn); !checked.ok()) return checked.error();
    const Segment segment{subsystemNqn, {address}};
    auto connected = connections_.get(connectionKey(subsystemNqn, segment.addresses),
                                      stop_.get_token(), [&] { return findOrMake(segment); });
    if (!connected.ok()) return connected.error();
    return std::shared_ptr<Connection>(connected.take());
}

Result<ConnectOrder::Turn> InitiatorImpl::prepare(const Segment& segment,
                                                  Clock::time_point deadline) {
    const TransportAddress& address = segment.addresses.front();
    Poll poll(deadline, stop_.get_token());
    while (true) {
        const auto answered =
            fabrics_->probe(address, segment.nqn, host_, options_, deadline, stop_.get_token());
        const auto probed = Clock::now();
        if (!answered.ok()) {
            // Too slow this time; asking holds nobody up.
            if (answered.error().code == ETIMEDOUT && poll.wait()) continue;
            return answered.error();
        }
        auto turn = order_.enter(address, answered.value(), deadline, stop_.get_token());
        if (!turn.ok()) return turn;
        // What was true long ago says little: a target has time to die while others connect.
        if (!answered.value() || Clock::now() < probed + kProbeLasts) return turn;
        turn.value().unused();
    }
}

Result<std::string> InitiatorImpl::makeController(const Segment& segment,
                                                  Clock::time_point deadline) {
    auto turn = prepare(segment, deadline);
    if (!turn.ok()) return turn.error();
    turn.value().unused();
    // Now that no other process of ours connects.
    const auto controllers = sysfs_.controllers();
    if (!controllers.ok()) return controllers.error();
    const auto& all = controllers.value();
    if (const auto* stranger = findStranger(all, segment.nqn, segment.addresses)) {
        return strangerError(*stranger, segment.addresses);
    }
    turn.value().begin();
    auto made =
        fabrics_->connect(segment.addresses.front(), segment.nqn, agreeWith(host_, all), options_);
    if (made.ok()) turn.value().succeeded();
    return made;
}

InitiatorImpl::Connected InitiatorImpl::findOrMake(const Segment& segment) {
    // The caller has other targets, or another subsystem of this one, to look for.
    if (!removals_->endWithin(kRemovalPatience, segment.nqn)) {
        return makeError(ETIMEDOUT, "the connection to " + segment.nqn +
                                        " was given up, and the kernel is still removing it");
    }
    const auto deadline = Clock::now() + options_.connectTimeout;
    Poll poll(deadline, stop_.get_token());
    auto tryAgainAt = Clock::time_point::min();
    while (true) {
        auto controllers = sysfs_.controllers();
        if (!controllers.ok()) return controllers.error();
        const auto& all = controllers.value();
        const auto usable = [&](const ControllerInfo& controller) {
            return isPath(controller, segment.nqn, segment.addresses) &&
                   controller.state != ControllerState::kGoing &&
                   (controller.hostNqn.empty() || controller.hostNqn == host_.nqn);
        };
        const auto found = std::find_if(all.begin(), all.end(), usable);
        const auto* stranger = findStranger(all, segment.nqn, segment.addresses);
        if (stranger != nullptr && stranger->state != ControllerState::kGoing) {
            return strangerError(*stranger, segment.addresses);
        }
        std::string waitingFor;
        if (stranger != nullptr) {
            waitingFor = strangerError(*stranger, segment.addresses).message;
        } else if (found == all.end() && Clock::now() < tryAgainAt) {
            waitingFor = "the controller of another process that connects to " + segment.nqn;
        } else if (found == all.end()) {
            auto made = makeController(segment, deadline);
            if (made.ok()) return useMade(made.value(), segment, poll);
            if (made.error().code != EALREADY) return made.error();
            // Another process was faster: its controller appears now, if we can see it at all. Each
            // attempt holds up the whole machine's connects.
            tryAgainAt = Clock::now() + kMakerDelay;
            waitingFor = made.error().message;
        } else if (found->state == ControllerState::kLive) {
            auto joined = use(found->name, segment, poll);
            if (joined.ok() || !isGone(joined.error().code)) return joined;
            waitingFor = joined.error().message;
        } else {
            waitingFor = "controller " + found->name + " of " + segment.nqn + " at " +
                         toString(segment.addresses.front()) +
                         " lost its target, and the kernel is still trying to reconnect";
        }
        if (!poll.wait()) return makeError(poll.stopped() ? ECANCELED : ETIMEDOUT, waitingFor);
    }
}

Result<UniqueFd> InitiatorImpl::openController(const std::string& controller,
                                               const Segment& segment) const {
    auto dir = sysfs_.openController(controller);
    if (!dir.ok()) return dir;
    // From here on the descriptor is what counts: the name may have passed to another one.
    const auto info = SysfsNvme::describeController(dir.value().get(), controller);
    if (!info.ok()) return info.error();
    if (!isPath(info.value(), segment.nqn, segment.addresses)) {
        return makeError(ENODEV, "controller " + controller + " of " + segment.nqn);
    }
    return dir;
}

InitiatorImpl::Connected InitiatorImpl::use(const std::string& controller, const Segment& segment,
                                            const Poll& poll) {
    auto dir = openController(controller, segment);
    if (!dir.ok()) return dir.error();
    auto lease = ControllerLease::ofFound(dir.take(), controller, Clock::now() + kMakerDelay, poll);
    if (!lease.ok()) return lease.error();
    const bool ours = lease.value().isOurs();
    auto connection =
        std::make_shared<ControllerConnection>(segment.nqn, lease.take(), fabrics_, removals_);
    if (!ours) warnOfSlowFailure(*connection, options_);
    return connection;
}

InitiatorImpl::Connected InitiatorImpl::useMade(const std::string& controller,
                                                const Segment& segment, const Poll& poll) {
    auto dir = sysfs_.openController(controller);
    if (!dir.ok()) {
        return Error{dir.error().code, "connected to " + segment.nqn + ", but lost controller " +
                                           controller + ": " + dir.error().message};
    }
    if (auto right = checkMade(dir.value().get(), controller, segment); !right.ok()) {
        return right.error();
    }
    auto lease = ControllerLease::ofMade(dir.take(), controller, poll);
    if (!lease.ok()) return lease.error();
    return std::make_shared<ControllerConnection>(segment.nqn, lease.take(), fabrics_, removals_);
}

Result<> InitiatorImpl::checkMade(int dir, const std::string& controller,
                                  const Segment& segment) const {
    const auto info = SysfsNvme::describeController(dir, controller);
    if (!info.ok()) {
        return Error{info.error().code, "connected to " + segment.nqn + ", but lost controller " +
                                            controller + ": " + info.error().message};
    }
    Error wrong{0, {}};
    if (!isAtOneOf(info.value(), segment.addresses)) {
        // The name has passed to another program's controller.
        return makeError(ENODEV,
                         "connected to " + segment.nqn + ", but lost controller " + controller);
    }
    if (info.value().subsystemNqn != segment.nqn) {
        // Its own word in Identify Controller, by which the kernel goes.
        wrong = makeError(EPROTO,
                          "the target at " + toString(segment.addresses.front()) +
                              " was connected to as " + segment.nqn + " and says that it is " +
                              inQuotes(info.value().subsystemNqn),
                          "its controller was removed at once: find out who that is");
    } else {
        // Another program may have connected meanwhile.
        const auto all = sysfs_.controllers();
        if (!all.ok()) {
            wrong = all.error();
        } else if (const auto* stranger =
                       findStranger(all.value(), segment.nqn, segment.addresses)) {
            wrong = strangerError(*stranger, segment.addresses);
        }
    }
    if (wrong.code == 0) return {};
    const auto gone = fabrics_->disconnect(dir, controller, Fabrics::Haste::kAtOnce);
    if (!gone.ok()) wrong.message += "; " + gone.error().message;
    return wrong;
}

Result<RemoteNamespace> InitiatorImpl::openNamespace(const Connection& connection, uint32_t nsid,
                                                     uint64_t size, int openFlags,
                                                     Clock::time_point deadline) {
    const auto* known = dynamic_cast<const ControllerConnection*>(&connection);
    if (known == nullptr) {
        return makeError(EINVAL, "the connection to " + connection.subsystemNqn(),
                         "it must be one of this initiator");
    }
    return opener_.open(*known, {nsid, size, openFlags}, deadline, stop_.get_token());
}

Result<> InitiatorImpl::checkNamespace(const Connection& connection, uint32_t nsid, uint64_t size,
                                       const UniqueFd& device) {
    auto identity =
        checkIdentity(options_.sysRoot, device.get(), connection.subsystemNqn(), nsid, size);
    if (!identity.ok()) return identity.error();
    return {};
}

}  // namespace mooncake::nvmeof_generic
