// SPDX-License-Identifier: Apache-2.0
// What an opened block device is, as the kernel says: device names prove nothing, they are
// recycled.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// A namespace as sysfs describes a block device number. While a descriptor of the device is open,
/// its number cannot pass to another device.
struct NamespaceIdentity {
    std::string deviceName;  ///< "nvme0n1", for messages
    std::string subsystemNqn;
    uint32_t nsid;
    std::string uuid;    ///< lower case
    uint64_t size;       ///< bytes
    uint32_t blockSize;  ///< logical block size in bytes
};

/// Reads <sysRoot>/dev/block/<major>:<minor>. Thread-safe; does no I/O on the device.
/// @return ENXIO when there is no such device any more, it has no size (its namespace was removed),
/// or it is not an NVMe namespace
Result<NamespaceIdentity> readNamespaceIdentity(const std::string& sysRoot, dev_t device);

/// Whether `identity` is namespace `nsid` of `subsystemNqn`, with the uuid that follows from the
/// two (namespaceUuid()) and exactly `size` bytes.
/// @return ESTALE that names what was found and what was expected
Result<> checkNamespaceIdentity(const NamespaceIdentity& identity, const std::string& subsystemNqn,
                                uint32_t nsid, uint64_t size);

/// Both of the above for an open descriptor: the identity check before I/O, and a cheap one for
/// later (a few reads in sysfs, no lock, no I/O).
/// @param fd  an open block device; stays the caller's
/// @return ENOTBLK, ENXIO, ESTALE
Result<NamespaceIdentity> checkIdentity(const std::string& sysRoot, int fd,
                                        const std::string& subsystemNqn, uint32_t nsid,
                                        uint64_t size);

}  // namespace mooncake::nvmeof_generic
