// SPDX-License-Identifier: Apache-2.0
#include "connection_list.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/initiator/sysfs_file.h"
#include "transport/nvmeof_generic_transport/initiator/sysfs_nvme.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

std::string textOf(int dir, const std::string& name) {
    auto text = readAttribute(dir, name);
    return text.ok() ? text.take() : std::string();
}

std::string addressOf(const ControllerInfo& controller) {
    std::string text = "traddr=" + controller.traddr + ",trsvcid=" + controller.trsvcid;
    if (!controller.hostTraddr.empty()) text += ",host_traddr=" + controller.hostTraddr;
    if (!controller.hostInterface.empty()) text += ",host_iface=" + controller.hostInterface;
    return text;
}

// "nvme3", and neither a namespace nor a device of one path to it.
bool isController(const std::string& name) {
    constexpr std::string_view kHead = "nvme";
    return name.starts_with(kHead) && name.size() > kHead.size() &&
           name.find_first_not_of("0123456789", kHead.size()) == std::string::npos;
}

}  // namespace

Result<std::vector<ConnectedSubsystem>> listConnections(const Roots& roots, bool all) {
    std::vector<ConnectedSubsystem> found;
    const std::string folder = roots.sys + "/class/nvme-subsystem";
    auto names = listFolder(AT_FDCWD, folder);
    if (!names.ok())
        return isGone(names.error().code) ? found : Result<decltype(found)>(names.error());
    std::sort(names.value().begin(), names.value().end());
    for (const std::string& name : names.value()) {
        const auto dir = openFolder(AT_FDCWD, folder + "/" + name);
        if (!dir.ok()) continue;  // it went meanwhile
        ConnectedSubsystem subsystem{
            textOf(dir.value().get(), "subsysnqn"), textOf(dir.value().get(), "iopolicy"), {}};
        if (!all && !isOwnSubsystemNqn(subsystem.nqn)) continue;
        auto members = listFolder(dir.value().get(), ".");
        if (!members.ok()) continue;
        std::sort(members.value().begin(), members.value().end());
        for (const std::string& member : members.value()) {
            if (!isController(member)) continue;
            const auto controller = openFolder(dir.value().get(), member);
            if (!controller.ok()) continue;
            const int at = controller.value().get();
            const auto info = SysfsNvme::describeController(at, member);
            if (!info.ok()) continue;
            const auto traffic = SysfsNvme::readTraffic(at);
            subsystem.paths.push_back({member, info.value().trtype, addressOf(info.value()),
                                       textOf(at, "state"), traffic.read, traffic.written});
        }
        if (!subsystem.paths.empty()) found.push_back(std::move(subsystem));
    }
    return found;
}

}  // namespace mooncake::nvmeof_generic::admin
