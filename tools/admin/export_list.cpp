// SPDX-License-Identifier: Apache-2.0
#include "export_list.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <sstream>

#include "text_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/target/claim.h"
#include "transport/nvmeof_generic_transport/target/export_record.h"
#include "transport/nvmeof_generic_transport/target/nvmet_tree.h"
#include "transport/nvmeof_generic_transport/target/port.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

constexpr std::chrono::seconds kLockLimit{1};
constexpr uint64_t kSectorBytes = 512;  // the unit of sysfs, whatever the device's blocks

uint32_t numberOf(const std::string& text) {
    uint32_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

OwnerState stateOf(Life life) {
    switch (life) {
        case Life::kAlive:
            return OwnerState::kAlive;
        case Life::kDead:
            return OwnerState::kDead;
        case Life::kUnknown:
            break;
    }
    return OwnerState::kUnknown;
}

// When a process began that was started so many clock ticks after the machine.
std::optional<int64_t> timeOf(const Roots& roots, uint64_t start) {
    std::istringstream lines(readText(roots.proc + "/stat").value_or(""));
    for (std::string line; std::getline(lines, line);) {
        long long boot = 0;
        if (std::sscanf(line.c_str(), "btime %lld", &boot) != 1) continue;
        return boot + static_cast<int64_t>(start) / ::sysconf(_SC_CLK_TCK);
    }
    return std::nullopt;
}

// Under the lock of all targets, so that one that is just being made is not looked at half.
Owner ownerOf(const Roots& roots, const NvmetTree& tree, const Result<TreeLock>& treeLock,
              const std::string& nqn) {
    Owner owner;
    if (!treeLock.ok()) return owner;
    const Claim::Sight sight = Claim::lookAt(tree, treeLock.value(), nqn);
    owner.state = stateOf(sight.life);
    owner.pid = sight.pid;
    owner.recorded = sight.owner;
    if (sight.owner) owner.started = timeOf(roots, sight.owner->start);
    return owner;
}

std::vector<ExportPort> portsOf(const NvmetTree& tree, const std::string& nqn) {
    const auto own = Port::listOwn(tree);
    const auto networkOf = [&](const std::string& id) -> std::optional<uint64_t> {
        if (!own.ok()) return std::nullopt;
        for (const Port::Own& port : own.value()) {
            if (port.id == id) return port.network;
        }
        return std::nullopt;
    };
    std::vector<ExportPort> ports;
    for (const std::string& id : namesIn(tree.ports())) {
        const std::string port = tree.port(id);
        const auto links = namesIn(port + "/subsystems");
        const bool serves = std::any_of(links.begin(), links.end(), [&](const std::string& link) {
            return linkedName(port + "/subsystems/" + link) == nqn;
        });
        if (!serves) continue;
        const auto field = [&](const char* name) {
            return readLine(port + "/addr_" + name).value_or("");
        };
        ports.push_back({id,
                         networkOf(id),
                         {field("trtype"), field("adrfam"), field("traddr"), field("trsvcid")}});
    }
    return ports;
}

std::vector<PermittedHost> allowedHosts(const NvmetTree& tree, const std::string& subsystem) {
    std::vector<PermittedHost> hosts;
    for (const std::string& link : namesIn(subsystem + "/allowed_hosts")) {
        const std::string host = linkedName(subsystem + "/allowed_hosts/" + link);
        hosts.push_back({host, proofOf(tree.host(host))});
    }
    return hosts;
}

// drivers/nvme/target/debugfs.c, in kernels from 6.11 on that are built with
// CONFIG_NVME_TARGET_DEBUGFS.
std::optional<std::vector<ConnectedHost>> connectedHosts(const Roots& roots,
                                                         const std::string& nqn) {
    const std::string folder = roots.sys + "/kernel/debug/nvmet/" + nqn;
    if (!exists(folder)) return std::nullopt;
    std::vector<ConnectedHost> hosts;
    for (const std::string& name : namesIn(folder)) {
        if (!name.starts_with("ctrl")) continue;
        const auto host = readLine(folder + "/" + name + "/hostnqn");
        if (!host) continue;
        hosts.push_back({*host, readLine(folder + "/" + name + "/host_traddr").value_or("")});
    }
    return hosts;
}

// The size of what somebody else exports; nvmet exports the whole of it.
std::optional<uint64_t> sizeOf(const Roots& roots, const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) return std::nullopt;
    if (S_ISREG(status.st_mode)) return static_cast<uint64_t>(status.st_size);
    if (!S_ISBLK(status.st_mode)) return std::nullopt;
    const auto sectors =
        readLine(roots.sys + "/dev/block/" + std::to_string(major(status.st_rdev)) + ":" +
                 std::to_string(minor(status.st_rdev)) + "/size");
    if (!sectors) return std::nullopt;
    uint64_t number = 0;
    const auto parsed = std::from_chars(sectors->data(), sectors->data() + sectors->size(), number);
    if (parsed.ec != std::errc()) return std::nullopt;
    return number * kSectorBytes;
}

std::vector<ExportedNamespace> namespacesOf(const Roots& roots, const std::string& subsystem) {
    std::vector<ExportedNamespace> namespaces;
    for (const std::string& name : namesIn(subsystem + "/namespaces")) {
        const std::string path = subsystem + "/namespaces/" + name;
        ExportedNamespace ns;
        ns.nsid = numberOf(name);
        ns.enabled = readLine(path + "/enable") == "1";
        const std::string device = readLine(path + "/device_path").value_or("");
        // The number of a descriptor means nothing outside of the process that wrote it, and
        // nothing inside either once that one has closed it.
        if (device.starts_with('/') && !device.starts_with("/proc/")) {
            ns.file = device;
            ns.size = sizeOf(roots, device);
        }
        namespaces.push_back(std::move(ns));
    }
    std::sort(namespaces.begin(), namespaces.end(),
              [](const auto& a, const auto& b) { return a.nsid < b.nsid; });
    return namespaces;
}

// What only the live owner can tell.
void askOwner(const Roots& roots, ExportedSubsystem& subsystem) {
    const pid_t pid = subsystem.owner.pid;
    if (pid == 0) return;
    subsystem.owner.command =
        readLine(roots.proc + "/" + std::to_string(pid) + "/comm").value_or("");
    const auto names = readExportRecord(roots.proc, pid, subsystem.nqn);
    if (!names) return;
    if (!names->segment.empty()) subsystem.segment = names->segment;
    for (ExportedNamespace& ns : subsystem.namespaces) {
        const auto file = names->files.find(ns.nsid);
        if (file == names->files.end()) continue;
        ns.file = file->second.path;
        ns.size = file->second.size;
    }
}

void addNotes(ExportList& list) {
    const auto any = [&](auto predicate) {
        return std::any_of(list.subsystems.begin(), list.subsystems.end(), predicate);
    };
    if (any([](const ExportedSubsystem& s) { return !s.connectedHosts.has_value(); })) {
        list.notes.push_back(
            "connected hosts are not known: this takes root, a mounted debugfs and a kernel "
            "(6.11 or newer) with CONFIG_NVME_TARGET_DEBUGFS");
    }
    if (any([](const ExportedSubsystem& s) { return s.owner.state == OwnerState::kDead; })) {
        list.notes.push_back(
            "subsystems of dead owners still serve their files: 'nvmeof_generic_admin clean' "
            "removes them");
    }
    if (any([](const ExportedSubsystem& s) {
            return s.owner.state == OwnerState::kAlive && s.owner.pid == 0;
        })) {
        list.notes.push_back(
            "a live owner is not in sight, and so neither are its segment and files: run this in "
            "the host's PID namespace");
    }
}

}  // namespace

Result<ExportList> listExports(const Roots& roots, bool all) {
    const NvmetTree tree{makePosixConfigTree(), roots.nvmet(), roots.proc};
    if (auto usable = checkUsable(tree, "tcp"); !usable.ok()) return usable.error();
    std::vector<std::string> nqns;
    if (const int code = tree.files->list(tree.subsystems(), nqns); code != 0) {
        return treeError(code, "cannot list " + tree.subsystems());
    }
    ExportList list;
    {
        const auto treeLock = TreeLock::acquire(tree, kLockLimit);
        for (const std::string& nqn : nqns) {
            const bool own = isOwnSubsystemNqn(nqn);
            if (!own && !all) continue;
            ExportedSubsystem subsystem;
            subsystem.nqn = nqn;
            if (own) {
                subsystem.owner = ownerOf(roots, tree, treeLock, nqn);
            } else {
                subsystem.owner.state = OwnerState::kForeign;
            }
            list.subsystems.push_back(std::move(subsystem));
        }
        if (!treeLock.ok()) {
            list.notes.push_back("which owners live is not known: " + treeLock.error().message);
        }
    }
    for (ExportedSubsystem& subsystem : list.subsystems) {
        const std::string path = tree.subsystem(subsystem.nqn);
        subsystem.anyHost = readLine(path + "/attr_allow_any_host") == "1";
        subsystem.allowedHosts = allowedHosts(tree, path);
        subsystem.ports = portsOf(tree, subsystem.nqn);
        subsystem.connectedHosts = connectedHosts(roots, subsystem.nqn);
        subsystem.namespaces = namespacesOf(roots, path);
        if (subsystem.owner.state == OwnerState::kAlive) askOwner(roots, subsystem);
    }
    // Removed while we looked.
    std::erase_if(list.subsystems, [&](const ExportedSubsystem& subsystem) {
        return !exists(tree.subsystem(subsystem.nqn));
    });
    addNotes(list);
    return list;
}

}  // namespace mooncake::nvmeof_generic::admin
