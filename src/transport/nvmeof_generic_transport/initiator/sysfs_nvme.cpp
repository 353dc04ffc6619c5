// SPDX-License-Identifier: Apache-2.0
#include "sysfs_nvme.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <string_view>
#include <utility>

#include "sysfs_file.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint64_t kSectorBytes = 512;  // of sysfs, whatever the device's blocks
constexpr char kPolicyFile[] = "iopolicy";

size_t skipDigits(std::string_view text, size_t from) {
    return std::min(text.find_first_not_of("0123456789", from), text.size());
}

// "nvme<n>n<m>": neither a hidden path "nvme<n>c<c>n<m>" nor a partition nor a character device.
bool isNamespaceName(std::string_view name) {
    constexpr std::string_view kHead = "nvme";
    if (!name.starts_with(kHead)) return false;
    const size_t middle = skipDigits(name, kHead.size());
    if (middle == kHead.size() || middle == name.size() || name[middle] != 'n') return false;
    const size_t end = skipDigits(name, middle + 1);
    return end == name.size() && end > middle + 1;
}

ControllerState toState(const std::string& text) {
    if (text == "live") return ControllerState::kLive;
    if (text == "new" || text == "resetting") return ControllerState::kRestoring;
    if (text == "connecting") return ControllerState::kConnecting;
    return ControllerState::kGoing;  // "deleting", "deleting (no IO)", "dead"
}

// The value of `key` in "traddr=127.0.0.1,src_addr=127.0.0.1" or, with another separator, in lines
// of "NVME_TRADDR=127.0.0.1".
std::string fieldOf(std::string_view text, std::string_view key, char separator) {
    while (!text.empty()) {
        const std::string_view field = text.substr(0, text.find(separator));
        text.remove_prefix(std::min(field.size() + 1, text.size()));
        if (field.starts_with(key) && field.substr(key.size()).starts_with('=')) {
            return std::string(field.substr(key.size() + 1));
        }
    }
    return {};
}

// Among the block devices in a folder, the one with this nsid.
Result<std::string> findIn(int dir, uint32_t nsid) {
    auto names = listFolder(dir, ".");
    if (!names.ok()) return names.error();
    // The number after 'n' is the order of creation, which often is the order of the nsids: with a
    // thousand namespaces, looking there first saves a thousand reads.
    const std::string guess = "n" + std::to_string(nsid);
    std::partition(names.value().begin(), names.value().end(),
                   [&](const std::string& name) { return name.ends_with(guess); });
    for (const std::string& name : names.value()) {
        if (!isNamespaceName(name)) continue;
        const auto found = readAttribute(dir, name + "/nsid");
        if (found.ok() && found.value() == std::to_string(nsid)) return name;
    }
    return makeError(ENXIO, "namespace " + std::to_string(nsid));
}

}  // namespace

std::string canonicalAddress(const std::string& traddr) {
    const size_t percent = std::min(traddr.find('%'), traddr.size());
    const std::string numeric = traddr.substr(0, percent);
    std::array<unsigned char, sizeof(in6_addr)> binary{};
    char text[INET6_ADDRSTRLEN];
    for (const int family : {AF_INET, AF_INET6}) {
        if (inet_pton(family, numeric.c_str(), binary.data()) == 1 &&
            inet_ntop(family, binary.data(), text, sizeof(text)) != nullptr) {
            return text + traddr.substr(percent);
        }
    }
    return traddr;
}

Path pathOf(const ControllerInfo& controller) {
    const bool ipv6 = controller.traddr.find(':') != std::string::npos;
    return {{controller.trtype, ipv6 ? "ipv6" : "ipv4", controller.traddr, controller.trsvcid},
            {controller.hostInterface, controller.hostTraddr}};
}

bool isAt(const ControllerInfo& controller, const TransportAddress& address) {
    return controller.trtype == address.trtype && controller.trsvcid == address.trsvcid &&
           canonicalAddress(controller.traddr) == canonicalAddress(address.traddr);
}

bool isOn(const ControllerInfo& controller, const Path& path) {
    if (!isAt(controller, path.target)) return false;
    if (path.from == HostSide{}) return true;
    if (path.target.trtype == "rdma") {
        const auto source = sourceAddress(path);
        return source.ok() &&
               canonicalAddress(controller.hostTraddr) == canonicalAddress(source.value());
    }
    return controller.hostInterface == path.from.interface &&
           canonicalAddress(controller.hostTraddr) == canonicalAddress(path.from.address);
}

SysfsNvme::SysfsNvme(std::string root) : root_(std::move(root)) {}

Result<std::vector<ControllerInfo>> SysfsNvme::controllers() const {
    std::vector<ControllerInfo> found;
    auto names = listFolder(AT_FDCWD, root_ + "/class/nvme");
    if (!names.ok()) {
        // Without nvme_core there is no such class, and no controller.
        if (names.error().code == ENOENT) return found;
        return names.error();
    }
    for (const std::string& name : names.value()) {
        auto dir = openController(name);
        auto info = dir.ok() ? describeController(dir.value().get(), name) : dir.error();
        if (info.ok()) {
            found.push_back(info.take());
        } else if (!isGone(info.error().code)) {
            return info.error();
        }
    }
    return found;
}

Result<UniqueFd> SysfsNvme::openController(const std::string& name) const {
    return openFolder(AT_FDCWD, root_ + "/class/nvme/" + name);
}

Result<ControllerState> SysfsNvme::readState(int dir) {
    const auto state = readAttribute(dir, "state");
    if (!state.ok()) return state.error();
    return toState(state.value());
}

Result<ControllerInfo> SysfsNvme::describeController(int dir, const std::string& name) {
    ControllerInfo info;
    info.name = name;
    const std::pair<const char*, std::string*> needed[] = {{"subsysnqn", &info.subsystemNqn},
                                                           {"transport", &info.trtype}};
    for (const auto& [file, value] : needed) {
        auto text = readAttribute(dir, file);
        if (!text.ok()) return text.error();
        *value = text.take();
    }
    // What the kernel tells udev of it (drivers/nvme/host/core.c, nvme_class_uevent): "address" has
    // the same, and a danger (see readSourceAddress).
    if (const auto text = readAttribute(dir, "uevent"); text.ok()) {
        const auto field = [&](const char* key) {
            std::string value = fieldOf(text.value(), key, '\n');
            return value == "none" ? std::string() : value;
        };
        info.traddr = field("NVME_TRADDR");
        info.trsvcid = field("NVME_TRSVCID");
        info.hostTraddr = field("NVME_HOST_TRADDR");
        info.hostInterface = field("NVME_HOST_IFACE");
    }
    // Not of every kernel.
    if (auto text = readAttribute(dir, "hostnqn"); text.ok()) info.hostNqn = text.take();
    if (auto text = readAttribute(dir, "hostid"); text.ok()) info.hostId = text.take();
    struct stat status {};
    if (fstat(dir, &status) == 0) info.born = status.st_ino;
    // Last: what was read before is of a controller that still was there now.
    const auto state = readState(dir);
    if (!state.ok()) return state.error();
    info.state = state.value();
    return info;
}

std::string SysfsNvme::readSourceAddress(int dir) {
    const auto text = readAttribute(dir, "address");
    return text.ok() ? fieldOf(text.value(), "src_addr", ',') : std::string();
}

Result<UniqueFd> SysfsNvme::openSubsystemOf(const std::string& controller) const {
    const std::string subsystems = root_ + "/class/nvme-subsystem/";
    auto names = listFolder(AT_FDCWD, subsystems);
    if (!names.ok()) return names.error();
    for (std::string& subsystem : names.value()) {
        auto folder = openFolder(AT_FDCWD, subsystem.insert(0, subsystems));
        if (!folder.ok() && !isGone(folder.error().code)) return folder.error();
        // A subsystem's folder has a link to each of its controllers.
        if (folder.ok() &&
            faccessat(folder.value().get(), controller.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
            return folder;
        }
    }
    return makeError(ENOENT, "controller " + controller + " is in no subsystem");
}

Result<std::string> SysfsNvme::setIoPolicy(const std::string& name, IoPolicy policy) const {
    const auto subsystem = openSubsystemOf(name);
    if (!subsystem.ok()) return subsystem.error();
    const int dir = subsystem.value().get();
    const auto now = readAttribute(dir, kPolicyFile);
    if (!now.ok()) return now.error();
    const auto set = [&](const char* wanted) -> Result<std::string> {
        if (now.value() == wanted) return now;
        if (auto written = writeAttribute(dir, kPolicyFile, wanted); !written.ok())
            return written.error();
        return std::string(wanted);
    };
    switch (policy) {
        case IoPolicy::kQueueDepth:
            return set("queue-depth");
        case IoPolicy::kRoundRobin:
            return set("round-robin");
        case IoPolicy::kNuma:
            return set("numa");
        case IoPolicy::kAuto:
            break;
    }
    auto best = set("queue-depth");
    return best.ok() || isGone(best.error().code) ? best : set("round-robin");
}

std::string SysfsNvme::readIoPolicy(int subsystemDir) {
    auto now = readAttribute(subsystemDir, kPolicyFile);
    return now.ok() ? now.take() : std::string();
}

SysfsNvme::Traffic SysfsNvme::readTraffic(int dir) {
    Traffic all;
    const auto names = listFolder(dir, ".");
    if (!names.ok()) return all;
    for (const std::string& name : names.value()) {
        // "nvme0c1n1" with native multipath, "nvme1n1" without.
        if (!name.starts_with("nvme")) continue;
        const auto text = readAttribute(dir, name + "/stat");
        if (!text.ok()) continue;
        // Reads, merged, sectors, ms, writes, merged, sectors, ms, in flight
        // (Documentation/block/stat.rst).
        uint64_t reads = 0, read = 0, writes = 0, written = 0, inFlight = 0;
        if (sscanf(text.value().c_str(),
                   "%" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64 " %*u %" SCNu64,
                   &reads, &read, &writes, &written, &inFlight) == 5) {
            all.read += read * kSectorBytes;
            all.written += written * kSectorBytes;
            all.ended += reads + writes;
            all.inFlight += inFlight;
        }
    }
    return all;
}

Result<std::string> SysfsNvme::findNamespace(int dir, const std::string& name,
                                             uint32_t nsid) const {
    auto own = findIn(dir, nsid);
    if (own.ok() || !isGone(own.error().code)) return own;

    const auto subsystem = openSubsystemOf(name);
    if (!subsystem.ok()) return isGone(subsystem.error().code) ? own.error() : subsystem.error();
    auto device = findIn(subsystem.value().get(), nsid);
    return device.ok() ? device : own;
}

}  // namespace mooncake::nvmeof_generic
