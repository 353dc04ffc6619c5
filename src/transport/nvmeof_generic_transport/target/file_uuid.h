// SPDX-License-Identifier: Apache-2.0
// What makes an open file this one and no other, also after a restart of this process or machine.
#pragma once

#include <sys/stat.h>

#include <string>

namespace mooncake::nvmeof_generic {

/// Where the kernel says what a block device is.
struct DeviceFacts {
    std::string sysRoot = "/sys";
    std::string bootIdFile = "/proc/sys/kernel/random/boot_id";
};

/// The UUID of a regular file: version 5 (RFC 9562, 5.5) of its file system (its UUID, statfs(2)
/// f_fsid), inode, generation (FS_IOC_GETVERSION) and time of birth, as far as there are such. It
/// stays when the file is renamed, written or resized. A copy has another one, and a file that was
/// deleted and made anew as well, also when it gets the same inode. A file system that says nothing
/// of itself (NFS) has its files told apart by their names, too.
/// @param fd  open for reading; stays the caller's
/// @param status  of `fd`
/// @param name  the kernel's, absolute
std::string regularFileUuid(int fd, const struct stat& status, const std::string& name);

/// The UUID of a block device: of what its disk is called by whoever made it (its wwid or serial
/// number, the uuid of a device-mapper or md device) and, of a partition, its number and its first
/// sector. A disk that has no such name is this one only until the machine starts anew or the
/// device is set up again.
std::string blockDeviceUuid(dev_t device, const DeviceFacts& facts = {});

}  // namespace mooncake::nvmeof_generic
