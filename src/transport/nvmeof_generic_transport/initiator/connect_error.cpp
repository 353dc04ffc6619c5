// SPDX-License-Identifier: Apache-2.0
#include "connect_error.h"

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kNobodyListens[] =
    "nothing listens at this address: check that the target runs and uses this port";

// What each errno of a write to /dev/nvme-fabrics means (Linux 6.1 and 6.12, observed).
std::string remedy(int code, const TransportAddress& address, const std::string& hostNqn) {
    const std::string module = "nvme-" + address.trtype;
    switch (code) {
        case ECONNREFUSED:
            return kNobodyListens;
        case EHOSTUNREACH:
        case ENETUNREACH:
        case EHOSTDOWN:
        case ENETDOWN:
        case ETIMEDOUT:
            return "the target does not answer: check that its host is up, the address, the route "
                   "and the firewall";
        case EIO:
            return "the target refused: it does not know this NQN (it was restarted and has a new "
                   "one), or does not allow host NQN " +
                   hostNqn;
        case EALREADY:
            return "host NQN " + hostNqn +
                   " is connected to it already, by a controller that cannot be used here: see "
                   "/sys/class/nvme";
        case ECONNRESET:
            if (address.trtype == "rdma") return kNobodyListens;
            [[fallthrough]];
        case EPROTO:
            return "what listens there is not an NVMe/TCP target, or it is one that asks for TLS";
        case EINVAL:
            return "the kernel refused the request, its log (dmesg) says why: module " + module +
                   " missing, or host NQN " + hostNqn + " in use with another host id";
        case ENOENT:
        case ENODEV:
            return "load the kernel modules: modprobe -a nvme-fabrics " + module;
        case EACCES:
        case EPERM:
            return "connecting needs root (CAP_SYS_ADMIN) and write access to /dev/nvme-fabrics";
        case ENOKEY:
            return "the target asks host NQN " + hostNqn +
                   " to authenticate itself (DH-HMAC-CHAP), and it has no key here: name its key "
                   "file in MC_NVMEOF_GENERIC_DHCHAP_KEY_FILE";
        case EKEYREJECTED:
            return "authentication (DH-HMAC-CHAP) failed: the target has other keys for host NQN " +
                   hostNqn + " than this host's key file";
        case EPROTONOSUPPORT:
            return "the target asks host NQN " + hostNqn +
                   " to authenticate itself (DH-HMAC-CHAP), which this kernel's initiator cannot: "
                   "it takes one built with CONFIG_NVME_AUTH or CONFIG_NVME_HOST_AUTH";
        case EOPNOTSUPP:
            return "the kernel lacks an algorithm for authentication: modprobe -a nvme-auth "
                   "dh_generic hmac sha256_generic sha512_generic";
        case EADDRNOTAVAIL:
            return "this host has no address or interface from which the target can be reached";
        case EMFILE:
        case ENFILE:
            return "too many open files: raise the limit (ulimit -n, fs.file-max)";
        default:
            return "the kernel's log (dmesg) may say more";
    }
}

}  // namespace

Error connectError(int code, const Path& path, const std::string& subsystemNqn,
                   const std::string& hostNqn, const std::string& cause) {
    return makeError(code, "cannot connect to " + subsystemNqn + " at " + toString(path),
                     cause.empty() ? remedy(code, path.target, hostNqn) : cause);
}

}  // namespace mooncake::nvmeof_generic
