// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdint>
#include <optional>

#include "check_parts.h"
#include "connection_list.h"
#include "text_file.h"
#include "transport/nvmeof_generic_transport/initiator/host_identity.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

// A node with the default number of workers takes up to 10240 of them at its busiest, and runs,
// slower, with 64.
constexpr uint64_t kWantedEvents = 10240;
constexpr uint64_t kLeastEvents = 64;

std::optional<uint64_t> readNumber(const std::string& path) {
    const auto line = readLine(path);
    if (!line) return std::nullopt;
    uint64_t number = 0;
    const auto parsed = std::from_chars(line->data(), line->data() + line->size(), number);
    return parsed.ec == std::errc() ? std::optional(number) : std::nullopt;
}

Check checkAio(const Roots& roots) {
    const std::string folder = roots.proc + "/sys/fs/";
    const auto most = readNumber(folder + "aio-max-nr"), used = readNumber(folder + "aio-nr");
    if (!most || !used) {
        return {Verdict::kFail, "fs.aio-max-nr is not to be read",
                "mount -t proc none " + roots.proc +
                    "; the kernel must have asynchronous I/O (CONFIG_AIO)"};
    }
    const uint64_t left = *most > *used ? *most - *used : 0;
    const std::string what = "fs.aio-max-nr " + std::to_string(*most) + ", of which " +
                             std::to_string(*used) + " are in use (fs.aio-nr)";
    if (left >= kWantedEvents) return ok(what);
    return {left < kLeastEvents ? Verdict::kFail : Verdict::kWarn, what,
            "sysctl -w fs.aio-max-nr=1048576; for good: echo fs.aio-max-nr=1048576 > "
            "/etc/sysctl.d/90-nvmeof-generic.conf"};
}

// Both settings work; which one it is decides what the devices are called.
Check checkMultipath(const Roots& roots) {
    const auto setting = readLine(roots.sys + "/module/nvme_core/parameters/multipath");
    if (!setting) return ok("native NVMe multipath: not in this kernel, or nvme-core not loaded");
    return ok(*setting == "Y" ? "native NVMe multipath is on: block devices are called after "
                                "subsystems (/dev/nvme<subsystem>n<number>)"
                              : "native NVMe multipath is off: block devices are called after "
                                "controllers (/dev/nvme<controller>n<number>)");
}

// Connections with several paths, of which some are not up.
Check checkPaths(const Roots& roots) {
    const auto connections = listConnections(roots, false);
    if (!connections.ok()) {
        return {Verdict::kWarn, connections.error().message, "mount -t sysfs none " + roots.sys};
    }
    size_t paths = 0;
    std::string down;
    for (const ConnectedSubsystem& subsystem : connections.value()) {
        paths += subsystem.paths.size();
        for (const ConnectionPath& path : subsystem.paths) {
            if (path.state == "live") continue;
            down += (down.empty() ? "" : "; ") + path.controller + " (" + path.address + ") of " +
                    subsystem.nqn + " is " + path.state;
        }
    }
    if (down.empty()) {
        return ok(std::to_string(paths) + " paths to " +
                  std::to_string(connections.value().size()) + " subsystems are up");
    }
    return {Verdict::kWarn, "paths are down: " + down,
            "look at the link, the route and the target at that address"};
}

std::vector<Check> checkIdentity(const Roots& roots) {
    InitiatorOptions options;
    options.sysRoot = roots.sys;
    options.etcRoot = roots.etc;
    const std::string folder = roots.etc + "/nvme";
    const auto identity = loadHostIdentity(options);
    if (!identity.ok()) {
        return {{Verdict::kFail, identity.error().message,
                 "nvme gen-hostnqn > " + folder + "/hostnqn, and the UUID at its end alone in " +
                     folder + "/hostid"}};
    }
    std::vector<Check> checks;
    for (const auto& [name, value] :
         {std::pair{"hostnqn", identity.value().nqn}, {"hostid", identity.value().id}}) {
        const std::string path = folder + "/" + name;
        if (exists(path)) {
            checks.push_back(ok(path + " is " + value));
        } else {
            checks.push_back({Verdict::kWarn,
                              path + " is missing: this transport takes " + value +
                                  ", other tools may take another",
                              "mkdir -p " + folder + " && echo " + value + " > " + path});
        }
    }
    return checks;
}

}  // namespace

std::vector<Check> checkInitiator(const Roots& roots, const std::string& trtype) {
    std::vector<Check> checks{
        checkModule(roots, "nvme-fabrics", Verdict::kFail, Verdict::kFail),
        // The kernel loads it with the first connection, where it can.
        checkModule(roots, "nvme-" + trtype, Verdict::kWarn, Verdict::kFail),
        coded("fabrics_device",
              checkWritable(roots.dev + "/nvme-fabrics", Verdict::kFail,
                            "modprobe nvme-fabrics; in a container: make the host's /dev visible")),
        coded("aio", checkAio(roots)),
        coded("multipath", checkMultipath(roots)),
        coded("paths", checkPaths(roots)),
        checkAuthentication(roots, "nvme_core", "targets that ask for a key cannot be used"),
    };
    for (Check& check : checkIdentity(roots)) {
        checks.push_back(coded("host_identity", std::move(check)));
    }
    return checks;
}

}  // namespace mooncake::nvmeof_generic::admin
