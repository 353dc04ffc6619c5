// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/initiator/namespace_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <limits>

#include "sysfs_file.h"
#include "transport/nvmeof_generic_transport/common/nqn.h"
#include "transport/nvmeof_generic_transport/common/quoted.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr uint64_t kSectorBytes = 512;  // the unit of "size" in sysfs, whatever the device's block

std::string numberOf(dev_t device) {
    return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

template <class Number>
Result<Number> readNumber(int dir, const std::string& path) {
    const auto text = readAttribute(dir, path);
    if (!text.ok()) return text.error();
    Number number = 0;
    const char* end = text.value().data() + text.value().size();
    const auto [parsed, error] = std::from_chars(text.value().data(), end, number);
    if (error != std::errc() || parsed != end) {
        return makeError(EINVAL, path + " holds " + inQuotes(text.value()) + ", not a number");
    }
    return number;
}

Result<NamespaceIdentity> readFrom(int dir) {
    NamespaceIdentity identity;
    auto nqn = readAttribute(dir, "device/subsysnqn");
    if (!nqn.ok()) return nqn.error();
    identity.subsystemNqn = nqn.take();
    auto nsid = readNumber<uint32_t>(dir, "nsid");
    if (!nsid.ok()) return nsid.error();
    identity.nsid = nsid.value();
    auto uuid = readAttribute(dir, "uuid");
    if (!uuid.ok()) return uuid.error();
    identity.uuid = uuid.take();
    std::transform(identity.uuid.begin(), identity.uuid.end(), identity.uuid.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    auto sectors = readNumber<uint64_t>(dir, "size");
    if (!sectors.ok()) return sectors.error();
    if (sectors.value() > std::numeric_limits<uint64_t>::max() / kSectorBytes) {
        return makeError(EOVERFLOW, "size " + std::to_string(sectors.value()) + " sectors");
    }
    // What the kernel does first with a device whose namespace was removed.
    if (sectors.value() == 0) return makeError(ENXIO, "its size is 0");
    identity.size = sectors.value() * kSectorBytes;
    auto blockSize = readNumber<uint32_t>(dir, "queue/logical_block_size");
    if (!blockSize.ok()) return blockSize.error();
    identity.blockSize = blockSize.value();
    return identity;
}

std::string toText(const std::string& nqn, uint32_t nsid, const std::string& uuid, uint64_t size) {
    return "namespace " + std::to_string(nsid) + " of " + nqn + ", uuid " + uuid + ", " +
           std::to_string(size) + " bytes";
}

}  // namespace

Result<NamespaceIdentity> readNamespaceIdentity(const std::string& sysRoot, dev_t device) {
    const std::string path = sysRoot + "/dev/block/" + numberOf(device);
    char target[4096];
    const ssize_t length = readlink(path.c_str(), target, sizeof(target));
    std::string name(target, static_cast<size_t>(std::max<ssize_t>(length, 0)));
    name.erase(0, name.rfind('/') + 1);

    auto dir = openFolder(AT_FDCWD, path);
    auto identity = dir.ok() ? readFrom(dir.value().get()) : dir.error();
    if (!identity.ok()) {
        const std::string what = "block device " + numberOf(device) +
                                 (name.empty() ? "" : " (" + name + ")") + ": " +
                                 identity.error().message;
        if (!isGone(identity.error().code)) return Error{identity.error().code, what};
        return makeError(ENXIO, what, "it was removed, or is not an NVMe namespace");
    }
    identity.value().deviceName = name;
    return identity;
}

Result<> checkNamespaceIdentity(const NamespaceIdentity& identity, const std::string& subsystemNqn,
                                uint32_t nsid, uint64_t size) {
    const std::string uuid = namespaceUuid(subsystemNqn, nsid);
    if (identity.subsystemNqn == subsystemNqn && identity.nsid == nsid && identity.uuid == uuid &&
        identity.size == size) {
        return {};
    }
    // Everybody who exports by this transport gives this uuid to the namespace of this name.
    const bool foreign =
        identity.subsystemNqn == subsystemNqn && identity.nsid == nsid && identity.uuid != uuid;
    return makeError(
        ESTALE,
        "block device " + identity.deviceName + " is " +
            toText(identity.subsystemNqn, identity.nsid, identity.uuid, identity.size) +
            "; expected " + toText(subsystemNqn, nsid, uuid, size),
        foreign
            ? "its node exports it by something else than this transport, whose namespaces have "
              "this uuid: such a node is no peer"
            : "the file was registered anew or the segment's descriptor is outdated");
}

Result<NamespaceIdentity> checkIdentity(const std::string& sysRoot, int fd,
                                        const std::string& subsystemNqn, uint32_t nsid,
                                        uint64_t size) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return makeError(errno, "cannot inspect an opened device");
    if (!S_ISBLK(status.st_mode)) {
        return makeError(ENOTBLK, "descriptor " + std::to_string(fd),
                         "only a block device can be a namespace");
    }
    auto identity = readNamespaceIdentity(sysRoot, status.st_rdev);
    if (!identity.ok()) return identity;
    if (auto checked = checkNamespaceIdentity(identity.value(), subsystemNqn, nsid, size);
        !checked.ok()) {
        return checked.error();
    }
    return identity;
}

}  // namespace mooncake::nvmeof_generic
