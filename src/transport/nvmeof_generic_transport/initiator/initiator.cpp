// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/initiator/initiator.h"

#include <fcntl.h>
#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "connect_error.h"
#include "host_identity.h"
#include "initiator_impl.h"
#include "sysfs_file.h"
#include "transport/nvmeof_generic_transport/common/host_key.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"

namespace mooncake::nvmeof_generic {
namespace {

// How long a process that is connecting may need to mark its new controller as one of ours, after
// the kernel has shown it. Taking it for somebody else's would mean to lose it when its maker goes.
constexpr std::chrono::seconds kMakerDelay{1};

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
        fabrics = makeKernelFabrics();
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
      host_(std::move(host)),
      sysfs_(options.sysRoot),
      opener_(options.sysRoot, options.devRoot, std::move(open)) {}

Result<std::shared_ptr<Connection>> InitiatorImpl::connect(const TransportAddress& address,
                                                           const std::string& subsystemNqn) {
    if (auto checked = checkAddress(address); !checked.ok()) return checked.error();
    if (auto checked = checkNqn(subsystemNqn); !checked.ok()) return checked.error();
    auto connected = connections_.get(subsystemNqn, stop_.get_token(),
                                      [&] { return findOrMake(address, subsystemNqn); });
    if (!connected.ok()) return connected.error();
    return std::shared_ptr<Connection>(connected.take());
}

Result<std::string> InitiatorImpl::makeController(const TransportAddress& address,
                                                  const std::string& subsystemNqn,
                                                  const HostIdentity& host,
                                                  Clock::time_point deadline) {
    const auto answered = fabrics_->probe(address, deadline, stop_.get_token());
    if (!answered.ok()) {
        return connectError(answered.error().code, address, subsystemNqn, host.nqn);
    }
    auto turn = order_.enter(toString(address), answered.value(), deadline, stop_.get_token());
    if (!turn.ok()) return turn.error();
    auto made = fabrics_->connect(address, subsystemNqn, host, options_);
    if (made.ok()) turn.value().succeeded();
    return made;
}

InitiatorImpl::Connected InitiatorImpl::findOrMake(const TransportAddress& address,
                                                   const std::string& subsystemNqn) {
    const auto deadline = Clock::now() + options_.connectTimeout;
    Poll poll(deadline, stop_.get_token());
    auto tryAgainAt = Clock::time_point::min();
    while (true) {
        auto controllers = sysfs_.controllers();
        if (!controllers.ok()) return controllers.error();
        const auto& all = controllers.value();
        const auto usable = [&](const ControllerInfo& controller) {
            return leadsTo(controller, address, subsystemNqn) &&
                   controller.state != ControllerState::kGoing &&
                   (controller.hostNqn.empty() || controller.hostNqn == host_.nqn);
        };
        const auto found = std::find_if(all.begin(), all.end(), usable);
        std::string waitingFor;
        if (found == all.end() && Clock::now() < tryAgainAt) {
            waitingFor = "the controller of another process that connects to " + subsystemNqn;
        } else if (found == all.end()) {
            auto made = makeController(address, subsystemNqn, agreeWith(host_, all), deadline);
            if (made.ok()) return useMade(made.value(), subsystemNqn, poll);
            if (made.error().code != EALREADY) return made.error();
            // Another process was faster: its controller appears now, if we can see it at all. Each
            // attempt holds up the whole machine's connects.
            tryAgainAt = Clock::now() + kMakerDelay;
            waitingFor = made.error().message;
        } else if (found->state == ControllerState::kLive) {
            auto joined = use(found->name, subsystemNqn, poll);
            if (joined.ok() || !isGone(joined.error().code)) return joined;
            waitingFor = joined.error().message;
        } else {
            waitingFor = "controller " + found->name + " of " + subsystemNqn + " at " +
                         toString(address) +
                         " lost its target, and the kernel is still trying to reconnect";
        }
        if (!poll.wait()) return makeError(poll.stopped() ? ECANCELED : ETIMEDOUT, waitingFor);
    }
}

Result<UniqueFd> InitiatorImpl::openController(const std::string& controller,
                                               const std::string& subsystemNqn) const {
    auto dir = sysfs_.openController(controller);
    if (!dir.ok()) return dir;
    // From here on the descriptor is what counts: the name may have passed to another one.
    const auto nqn = readAttribute(dir.value().get(), "subsysnqn");
    if (!nqn.ok()) return nqn.error();
    if (nqn.value() != subsystemNqn) {
        return makeError(ENODEV, "controller " + controller + " of " + subsystemNqn);
    }
    return dir;
}

InitiatorImpl::Connected InitiatorImpl::use(const std::string& controller,
                                            const std::string& subsystemNqn, const Poll& poll) {
    auto dir = openController(controller, subsystemNqn);
    if (!dir.ok()) return dir.error();
    auto lease = ControllerLease::ofFound(dir.take(), controller, Clock::now() + kMakerDelay, poll);
    if (!lease.ok()) return lease.error();
    const bool ours = lease.value().isOurs();
    auto connection = std::make_shared<ControllerConnection>(subsystemNqn, lease.take(), fabrics_);
    if (!ours) warnOfSlowFailure(*connection, options_);
    return connection;
}

InitiatorImpl::Connected InitiatorImpl::useMade(const std::string& controller,
                                                const std::string& subsystemNqn, const Poll& poll) {
    auto dir = openController(controller, subsystemNqn);
    if (!dir.ok()) {
        return Error{dir.error().code, "connected to " + subsystemNqn + ", but lost controller " +
                                           controller + ": " + dir.error().message};
    }
    auto lease = ControllerLease::ofMade(dir.take(), controller, poll);
    if (!lease.ok()) return lease.error();
    return std::make_shared<ControllerConnection>(subsystemNqn, lease.take(), fabrics_);
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

}  // namespace mooncake::nvmeof_generic
