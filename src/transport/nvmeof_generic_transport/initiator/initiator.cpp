// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

#include <fcntl.h>
#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "first_answer.h"
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

// Of one path at a time: there is another one.
constexpr int kNotAlone = EBUSY;

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

// Whether it says anything about the path that a connect over it failed with this.
bool speaksOfPath(int code) {
    return code != ECANCELED && code != ENOMEM && code != kNotAlone;
}

Error beingRemoved(const std::string& subsystemNqn) {
    return makeError(ETIMEDOUT, "the connection to " + subsystemNqn +
                                    " was given up, and the kernel is still removing it");
}

Error notAlone(const ControllerInfo& other) {
    return makeError(
        kNotAlone,
        "controller " + other.name + " of this machine is another path to " + other.subsystemNqn,
        "one is used at a time (MC_NVMEOF_GENERIC_PATHS=one): end its use, or remove "
        "it with nvme disconnect -d " +
            other.name);
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
      run_(std::make_shared<RunFolder>(options.runRoot)),
      notes_(run_, options.sysRoot),
      claims_(run_),
      order_(run_) {}

Result<std::shared_ptr<Connection>> InitiatorImpl::connect(const TransportAddresses& addresses,
                                                           const std::string& subsystemNqn) {
    if (auto checked = checkAddresses(addresses); !checked.ok()) return checked.error();
    if (auto checked = checkNqn(subsystemNqn); !checked.ok()) return checked.error();
    const Segment segment{subsystemNqn, addresses};
    const Paths paths = pathsOf(addresses, options_.hostInterfaces);
    auto connected = connections_.get(
        connectionKey(subsystemNqn, addresses), stop_.get_token(), [&]() -> Connected {
            // Who says from where he connects may know but some of the paths.
            if (paths.size() > 1 || !options_.hostInterfaces.empty()) {
                if (!options_.allPaths || !kernelJoinsPaths()) return connectOne(segment, paths);
                if (paths.size() > 1) return connectAll(segment, paths);
            }
            auto made = findOrMake(segment, paths.front(), stop_.get_token(), false);
            if (!made.ok()) return made.error();
            return std::shared_ptr<KernelConnection>(made.take());
        });
    if (!connected.ok()) return connected.error();
    return std::shared_ptr<Connection>(connected.take());
}

bool InitiatorImpl::kernelJoinsPaths() const {
    const auto setting =
        readAttribute(AT_FDCWD, options_.sysRoot + "/module/nvme_core/parameters/multipath");
    return setting.ok() && setting.value() == "Y";
}

InitiatorImpl::Connected InitiatorImpl::connectAll(const Segment& segment, const Paths& paths) {
    // Of a group that was given up.
    if (!removals_->endWithin(kRemovalPatience, segment.nqn)) return beingRemoved(segment.nqn);
    auto group = PathGroup::open(
        segment.nqn, paths,
        [this, segment](const Path& path, const std::stop_token& stop) {
            return findOrMake(segment, path, stop, false);
        },
        [this](const ControllerConnection& controller) {
            keepRequestsApart(controller.dir());
            const auto set = sysfs_.setIoPolicy(controller.controllerName(), options_.ioPolicy);
            if (set.ok() || isGone(set.error().code)) return;
            LOG_FIRST_N(WARNING, 1) << "cannot set how I/O is shared between paths "
                                       "(MC_NVMEOF_GENERIC_IO_POLICY): "
                                    << set.error().message;
        },
        stop_.get_token());
    if (!group.ok()) return group.error();
    return std::shared_ptr<KernelConnection>(group.take());
}

InitiatorImpl::Connected InitiatorImpl::connectOne(const Segment& segment, const Paths& paths) {
    const auto deadline = Clock::now() + options_.connectTimeout;
    Poll poll(deadline, stop_.get_token());
    while (true) {
        const auto chosen = choosePath(segment, paths, deadline);
        auto made = chosen.ok() ? findOrMake(segment, chosen.value(), stop_.get_token(), true)
                                : Made(chosen.error());
        if (made.ok()) {
            lastPaths_.connected(segment.nqn, chosen.value(), made.value());
            return std::shared_ptr<KernelConnection>(made.take());
        }
        // Another process was faster, over another path.
        if (made.error().code == kNotAlone && poll.wait()) continue;
        if (chosen.ok() && speaksOfPath(made.error().code)) {
            lastPaths_.refused(segment.nqn, chosen.value());
        }
        return made.error();
    }
}

Result<Path> InitiatorImpl::choosePath(const Segment& segment, const Paths& paths,
                                       Clock::time_point deadline) {
    const auto controllers = sysfs_.controllers();
    if (!controllers.ok()) return controllers.error();
    for (const Path& path : paths) {
        for (const ControllerInfo& one : controllers.value()) {
            if (isUsable(one, segment, path) && one.state == ControllerState::kLive) return path;
        }
    }
    auto chosen = firstThatAnswers(
        paths,
        [&](const Path& path, const std::stop_token& stop) -> Result<bool> {
            const auto answered =
                fabrics_->probe(path, segment.nqn, host_, options_, deadline, stop);
            if (!answered.ok()) return answered.error();
            // Where it has failed its answer says no more than none.
            return answered.value().answered && !lastPaths_.hasFailed(segment.nqn, path);
        },
        stop_.get_token(), unasked_++);
    if (!chosen.ok()) return chosen;
    if (auto gone = giveUpOthers(segment, chosen.value(), deadline); !gone.ok()) {
        return gone.error();
    }
    return chosen;
}

// What the kernel has lost and is restoring, which must not come back beside the path that was
// chosen, and what a killed process has left, also from an interface that is no path here.
Result<> InitiatorImpl::giveUpOthers(const Segment& segment, const Path& chosen,
                                     Clock::time_point deadline) {
    const auto controllers = sysfs_.controllers();
    if (!controllers.ok()) return controllers.error();
    for (const ControllerInfo& one : controllers.value()) {
        const bool candidate =
            isPath(one, segment.nqn, segment.addresses) && one.state != ControllerState::kGoing;
        if (!candidate || isUsable(one, segment, chosen)) continue;
        const Path path = pathOf(one);
        const auto other = use(one.name, Attempt{segment, path, deadline, stop_.get_token()});
        if (!other.ok() || !other.value()->isOurs()) continue;
        // Restored, or another process has just made it. What nobody else uses goes with this use.
        if (other.value()->isLive()) return notAlone(one);
        other.value()->giveUp();
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (removals_->endWithin(left, segment.nqn)) return {};
    return beingRemoved(segment.nqn);
}

Result<InitiatorImpl::Prepared> InitiatorImpl::prepare(const Attempt& attempt) {
    const auto& [segment, path, deadline, stop, alone, claim] = attempt;
    Poll poll(deadline, stop);
    while (true) {
        const auto answered = fabrics_->probe(path, segment.nqn, host_, options_, deadline, stop);
        const auto probed = Clock::now();
        if (!answered.ok()) {
            // Too slow this time; asking holds nobody up.
            if (answered.error().code == ETIMEDOUT && poll.wait()) continue;
            return answered.error();
        }
        const bool asked = answered.value().answered;
        auto turn = order_.enter(path.target, asked, deadline, stop);
        if (!turn.ok()) return turn.error();
        // What was true long ago says little: a target has time to die while others connect.
        if (!asked || Clock::now() < probed + kProbeLasts) {
            return Prepared{turn.take(), answered.value()};
        }
        turn.value().unused();
    }
}

Result<std::string> InitiatorImpl::makeController(const Attempt& attempt) {
    const Segment& segment = attempt.segment;
    auto prepared = prepare(attempt);
    if (!prepared.ok()) return prepared.error();
    auto& [turn, probed] = prepared.value();
    turn.unused();
    // Now that no other process of ours connects.
    const auto controllers = sysfs_.controllers();
    if (!controllers.ok()) return controllers.error();
    const auto& all = controllers.value();
    if (const auto* stranger = findStranger(all, segment.nqn, segment.addresses)) {
        return strangerError(*stranger, segment.addresses);
    }
    if (const auto* other = findOther(all, attempt)) return notAlone(*other);
    turn.begin();
    auto made =
        fabrics_->connect(attempt.path, segment.nqn, agreeWith(host_, all), options_, probed);
    if (made.ok()) turn.succeeded();
    return made;
}

bool InitiatorImpl::isUsable(const ControllerInfo& controller, const Segment& segment,
                             const Path& path) const {
    return controller.subsystemNqn == segment.nqn && isOn(controller, path) &&
           controller.state != ControllerState::kGoing &&
           (controller.hostNqn.empty() || controller.hostNqn == host_.nqn);
}

const ControllerInfo* InitiatorImpl::findOther(const std::vector<ControllerInfo>& controllers,
                                               const Attempt& attempt) const {
    if (!attempt.alone) return nullptr;
    const auto found = std::find_if(controllers.begin(), controllers.end(), [&](const auto& one) {
        return one.subsystemNqn == attempt.segment.nqn &&
               !isUsable(one, attempt.segment, attempt.path);
    });
    return found == controllers.end() ? nullptr : &*found;
}

// Made at the same time by who takes no turns with this process, as in a container with a /run of
// its own. The younger of two goes: whoever looks sees both, and the older one may have been in use
// for long.
const ControllerInfo* InitiatorImpl::findOlder(const std::vector<ControllerInfo>& controllers,
                                               const ControllerInfo& made, const Attempt& attempt) {
    if (!attempt.alone) return nullptr;
    const auto found = std::find_if(controllers.begin(), controllers.end(), [&](const auto& one) {
        return one.subsystemNqn == made.subsystemNqn && one.born < made.born;
    });
    return found == controllers.end() ? nullptr : &*found;
}

InitiatorImpl::Made InitiatorImpl::findOrMake(const Segment& segment, const Path& path,
                                              const std::stop_token& stop, bool alone) {
    // The caller has other targets, or another subsystem of this one, to look for.
    for (const std::string& removal :
         {segment.nqn, ControllerConnection::removalOf(segment.nqn, path)}) {
        if (!removals_->endWithin(kRemovalPatience, removal)) return beingRemoved(segment.nqn);
    }
    Attempt attempt{segment, path, Clock::now() + options_.connectTimeout, stop, alone};
    Poll poll(attempt.deadline, stop);
    auto tryAgainAt = Clock::time_point::min();
    while (true) {
        auto controllers = sysfs_.controllers();
        if (!controllers.ok()) return controllers.error();
        const auto& all = controllers.value();
        const auto found = std::find_if(all.begin(), all.end(), [&](const auto& controller) {
            return isUsable(controller, segment, path);
        });
        const auto* stranger = findStranger(all, segment.nqn, segment.addresses);
        if (stranger != nullptr && stranger->state != ControllerState::kGoing) {
            return strangerError(*stranger, segment.addresses);
        }
        if (!attempt.claim) {
            auto claim = claims_.take(segment.nqn, segment.addresses);
            if (!claim.ok()) return claim.error();
            attempt.claim = claim.take();
        }
        std::string waitingFor;
        if (stranger != nullptr) {
            waitingFor = strangerError(*stranger, segment.addresses).message;
        } else if (found == all.end() && Clock::now() < tryAgainAt) {
            waitingFor = "the controller of another process that connects to " + segment.nqn;
        } else if (const auto* other = findOther(all, attempt);
                   other != nullptr && found == all.end()) {
            if (other->state != ControllerState::kGoing) return notAlone(*other);
            // The kernel would send over a new one what that has.
            waitingFor = notAlone(*other).message;
        } else if (found == all.end()) {
            auto made = makeController(attempt);
            if (made.ok()) return useMade(made.value(), attempt);
            if (made.error().code != EALREADY) return made.error();
            // Another process was faster: its controller appears now, if we can see it at all. Each
            // attempt holds up the whole machine's connects.
            tryAgainAt = Clock::now() + kMakerDelay;
            waitingFor = made.error().message;
        } else if (found->state == ControllerState::kLive) {
            auto joined = use(found->name, attempt);
            if (joined.ok() || !isGone(joined.error().code)) return joined;
            waitingFor = joined.error().message;
        } else {
            waitingFor = "controller " + found->name + " of " + segment.nqn + " at " +
                         toString(path) +
                         " lost its target, and the kernel is still trying to reconnect";
        }
        if (!poll.wait()) return makeError(poll.stopped() ? ECANCELED : ETIMEDOUT, waitingFor);
    }
}

Result<UniqueFd> InitiatorImpl::openController(const std::string& controller,
                                               const Attempt& attempt) const {
    auto dir = sysfs_.openController(controller);
    if (!dir.ok()) return dir;
    // From here on the descriptor is what counts: the name may have passed to another one.
    const auto info = SysfsNvme::describeController(dir.value().get(), controller);
    if (!info.ok()) return info.error();
    if (info.value().subsystemNqn != attempt.segment.nqn || !isOn(info.value(), attempt.path)) {
        return makeError(ENODEV, "controller " + controller + " of " + attempt.segment.nqn);
    }
    return dir;
}

ControllerConnection::Parts InitiatorImpl::partsOf(const std::string& controller,
                                                   const Attempt& attempt) const {
    ControllerConnection::Parts parts{fabrics_, removals_, attempt.claim, nullptr};
    if (!kernelJoinsPaths()) return parts;
    auto subsystem = sysfs_.openSubsystemOf(controller);
    if (subsystem.ok()) parts.subsystem = std::make_shared<const UniqueFd>(subsystem.take());
    return parts;
}

InitiatorImpl::Made InitiatorImpl::use(const std::string& controller, const Attempt& attempt) {
    auto dir = openController(controller, attempt);
    if (!dir.ok()) return dir.error();
    auto lease =
        ControllerLease::ofFound(dir.take(), controller, notes_, Clock::now() + kMakerDelay,
                                 Poll(attempt.deadline, attempt.stop));
    if (!lease.ok()) return lease.error();
    const bool ours = lease.value().isOurs();
    auto connection = std::make_shared<ControllerConnection>(
        attempt.segment.nqn, attempt.path, lease.take(), partsOf(controller, attempt));
    if (!ours) warnOfSlowFailure(*connection, options_);
    return connection;
}

InitiatorImpl::Made InitiatorImpl::useMade(const std::string& controller, const Attempt& attempt) {
    const std::string& nqn = attempt.segment.nqn;
    auto dir = sysfs_.openController(controller);
    if (!dir.ok()) {
        return Error{dir.error().code, "connected to " + nqn + ", but lost controller " +
                                           controller + ": " + dir.error().message};
    }
    if (auto right = checkMade(dir.value().get(), controller, attempt); !right.ok()) {
        return right.error();
    }
    auto lease = ControllerLease::ofMade(dir.take(), controller, notes_,
                                         Poll(attempt.deadline, attempt.stop));
    if (!lease.ok()) return lease.error();
    return std::make_shared<ControllerConnection>(nqn, attempt.path, lease.take(),
                                                  partsOf(controller, attempt));
}

Result<> InitiatorImpl::checkMade(int dir, const std::string& controller,
                                  const Attempt& attempt) const {
    const Segment& segment = attempt.segment;
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
                          "the target at " + toString(attempt.path) + " was connected to as " +
                              segment.nqn + " and says that it is " +
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
        } else if (const auto* older = findOlder(all.value(), info.value(), attempt)) {
            wrong = notAlone(*older);
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
    const auto* known = dynamic_cast<const KernelConnection*>(&connection);
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
