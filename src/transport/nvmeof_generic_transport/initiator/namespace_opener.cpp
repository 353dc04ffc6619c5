// SPDX-License-Identifier: Apache-2.0
#include "namespace_opener.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sysfs_file.h"
#include "transport/nvmeof_generic_transport/initiator/namespace_identity.h"

namespace mooncake::nvmeof_generic {
namespace {

// The kernel looks for new namespaces by itself when the target announces one. Should that message
// have been lost, it is asked to look once.
constexpr std::chrono::milliseconds kPatienceBeforeRescan{1000};

constexpr char kOtherDevice[] =
    " (in a container the node can be another device's: make the host's /dev visible)";

// Linux 6.12 waits for all I/O that the queue has before it sets this, and lets none in meanwhile:
// nothing is set that is so already, by another process.
void keepRequestsApart(int controllerDir, const std::string& disk) {
    constexpr char kWanted[] = "2";
    const std::string file = disk + "/queue/nomerges";
    const auto now = readAttribute(controllerDir, file);
    if (!now.ok() || now.value() == kWanted) return;
    // Without it I/O goes on all the same.
    static_cast<void>(writeAttribute(controllerDir, file, kWanted));
}

// keepRequestsApart() for one namespace. With native multipath the queue is not that of the device
// that was opened but of the controller's own, hidden one, whose name ends in the same number.
void keepRequestsApart(int controllerDir, const std::string& deviceName, uint32_t nsid) {
    const auto names = listFolder(controllerDir, ".");
    if (!names.ok()) return;
    const std::string number = deviceName.substr(deviceName.rfind('n'));
    for (const std::string& name : names.value()) {
        if (!name.starts_with("nvme") || !name.ends_with(number)) continue;
        const auto found = readAttribute(controllerDir, name + "/nsid");
        if (!found.ok() || found.value() != std::to_string(nsid)) continue;
        keepRequestsApart(controllerDir, name);
    }
}

}  // namespace

void keepRequestsApart(int controllerDir) {
    const auto names = listFolder(controllerDir, ".");
    if (!names.ok()) return;
    for (const std::string& name : names.value()) {
        if (name.starts_with("nvme")) keepRequestsApart(controllerDir, name);
    }
}

Result<OpenedDevice> openBlockDevice(const std::string& path, int flags) {
    UniqueFd fd(::open(path.c_str(), flags));
    if (!fd.valid()) return makeError(errno, "cannot open " + path);
    struct stat status {};
    if (fstat(fd.get(), &status) != 0) return makeError(errno, "cannot inspect " + path);
    if (!S_ISBLK(status.st_mode)) return makeError(ENOTBLK, path, "remove what lies there");
    return OpenedDevice{std::move(fd), status.st_rdev};
}

NamespaceOpener::NamespaceOpener(std::string sysRoot, std::string devRoot, DeviceOpen open)
    : sysRoot_(std::move(sysRoot)),
      devRoot_(std::move(devRoot)),
      open_(std::move(open)),
      sysfs_(sysRoot_) {}

Result<RemoteNamespace> NamespaceOpener::open(const KernelConnection& connection,
                                              const NamespaceRequest& request,
                                              Clock::time_point deadline,
                                              std::stop_token stop) const {
    Poll poll(deadline, std::move(stop));
    const auto start = Clock::now();
    const auto rescanAt =
        start + std::min<Clock::duration>(kPatienceBeforeRescan, (deadline - start) / 2);
    bool rescanned = false;
    while (true) {
        const auto controllers = connection.controllers();
        bool mayPass = false;
        auto opened = controllers.empty() ? Result<RemoteNamespace>(Error{ENXIO, "no controller"})
                                          : tryOpen(controllers, request, mayPass);
        if (opened.ok() || (!controllers.empty() && !mayPass)) return opened;
        const Error& error = opened.error();
        std::string what =
            "namespace " + std::to_string(request.nsid) + " of " + connection.subsystemNqn();
        if (!controllers.empty()) {
            what += " on controller " + controllers.front()->controllerName();
        }
        if (controllers.empty() || !connection.isUsable()) {
            return makeError(ENXIO, what, "the controller was deleted: connect again");
        }
        if (error.code != ESTALE && !rescanned && Clock::now() >= rescanAt) {
            rescanned = true;
            // No matter if it fails: a controller that is reconnecting looks by itself afterwards.
            static_cast<void>(writeAttribute(controllers.front()->dir(), "rescan_controller", "1"));
        }
        if (!poll.wait()) {
            if (poll.stopped()) return makeError(ECANCELED, "waiting for " + what);
            if (error.code == ESTALE) return opened;
            return Error{ENXIO, what + " did not appear in time; last: " + error.message};
        }
    }
}

Result<RemoteNamespace> NamespaceOpener::tryOpen(const Controllers& controllers,
                                                 const NamespaceRequest& request,
                                                 bool& mayPass) const {
    const ControllerConnection& connection = *controllers.front();
    const std::string& nqn = connection.subsystemNqn();
    const auto failed = [&](const Error& error) {
        mayPass = isGone(error.code);
        return error;
    };
    const auto name =
        sysfs_.findNamespace(connection.dir(), connection.controllerName(), request.nsid);
    if (!name.ok()) return failed(name.error());
    // The device node can lag behind sysfs, or still be that of an earlier device of this name.
    auto device = open_(devRoot_ + "/" + name.value(), O_RDWR | O_CLOEXEC | request.openFlags);
    if (!device.ok()) {
        const int code = device.error().code;
        const bool forbidden = code == EACCES || code == EPERM;
        const Error error{
            code,
            device.error().message +
                (forbidden        ? " (using it needs root, or write access to the device)"
                 : code == ENOENT ? " (in a container, make the host's /dev visible: the node "
                                    "appears there with each connection)"
                 : isGone(code)   ? kOtherDevice
                                  : "")};
        return forbidden ? error : failed(error);
    }
    const auto identity = readNamespaceIdentity(sysRoot_, device.value().number);
    if (!identity.ok()) {
        return failed(Error{identity.error().code, devRoot_ + "/" + name.value() + ": " +
                                                       identity.error().message + kOtherDevice});
    }
    const auto checked = checkNamespaceIdentity(identity.value(), nqn, request.nsid, request.size);
    if (!checked.ok()) {
        // Another namespace's device: the node of an earlier device of this name, which will be
        // replaced. The right namespace with other contents stays what it is.
        mayPass = identity.value().subsystemNqn != nqn || identity.value().nsid != request.nsid;
        return checked.error();
    }
    for (const auto& one : controllers) {
        if (!one->isOurs()) continue;
        keepRequestsApart(one->dir(), identity.value().deviceName, request.nsid);
    }
    return RemoteNamespace{std::move(device.value().fd), identity.value().deviceName,
                           identity.value().size, identity.value().blockSize};
}

}  // namespace mooncake::nvmeof_generic
