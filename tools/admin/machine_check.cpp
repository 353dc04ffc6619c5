// SPDX-License-Identifier: Apache-2.0
#include "machine_check.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "check_parts.h"
#include "host_proof.h"
#include "kernel_modules.h"
#include "text_file.h"

namespace mooncake::nvmeof_generic::admin {
namespace {

Check checkRoot(uid_t euid) {
    if (euid == 0) return ok("runs as root");
    return {Verdict::kFail, "runs as user " + std::to_string(euid) + ", and a node takes root",
            "sudo nvmeof_generic_admin check"};
}

Check checkRdmaDevice(const Roots& roots) {
    const auto devices = namesIn(roots.sys + "/class/infiniband");
    if (!devices.empty()) return ok("RDMA device " + devices.front());
    return {Verdict::kFail, "there is no RDMA device",
            "load the driver of the adapter; 'rdma link' lists devices"};
}

Check judgeModule(const Roots& roots, const std::string& name, Verdict ifAbsent,
                  Verdict ifMissing) {
    switch (moduleState(roots, name)) {
        case ModuleState::kLoaded:
            return ok("module " + name + " is loaded");
        case ModuleState::kAvailable:
            return {ifAbsent, "module " + name + " is available, but not loaded",
                    "modprobe " + name};
        case ModuleState::kMissing:
            break;
    }
    return {ifMissing, "module " + name + " is neither loaded nor in " + roots.modules,
            "install the kernel's modules (Debian: apt-get install linux-image-amd64, not the "
            "cloud one); in a container: modprobe " +
                name + " on the host"};
}

}  // namespace

Check checkModule(const Roots& roots, const std::string& name, Verdict ifAbsent,
                  Verdict ifMissing) {
    return coded("module." + name, judgeModule(roots, name, ifAbsent, ifMissing));
}

Check checkWritable(const std::string& path, Verdict ifAbsent, const std::string& remedy) {
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK, AT_EACCESS) == 0) {
        return ok(path + " is writable");
    }
    const int code = errno;
    const std::string what = path + ": " + std::strerror(code);
    if (code == ENOENT || code == ENOTDIR) return {ifAbsent, what, remedy};
    if (code == EROFS) {
        return {Verdict::kFail, what,
                "mount it writable; in a container: run it with the host's " + path +
                    " mounted writable"};
    }
    return {Verdict::kFail, what, "run the node as root, in a container with --privileged"};
}

Check checkAuthentication(const Roots& roots, const std::string& module, const std::string& ifNot) {
    const std::string what = "authentication (DH-HMAC-CHAP) in " + module;
    const auto can = canAuthenticate(roots, module);
    return coded("authentication." + module,
                 ok(what + (!can   ? ": not known before " + module + " is loaded as a module"
                            : *can ? ": yes"
                                   : ": not in this kernel; " + ifNot)));
}

std::vector<Check> checkMachine(const Roots& roots, const CheckWish& wish, uid_t euid) {
    std::vector<Check> checks{coded("privileges", checkRoot(euid))};
    const auto append = [&](const std::vector<Check>& more) {
        checks.insert(checks.end(), more.begin(), more.end());
    };
    if (wish.trtype == "rdma") append({coded("rdma_device", checkRdmaDevice(roots))});
    if (wish.target) append(checkTarget(roots, wish.trtype));
    if (wish.initiator) append(checkInitiator(roots, wish.trtype));
    return checks;
}

}  // namespace mooncake::nvmeof_generic::admin
