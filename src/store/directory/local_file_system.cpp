// SPDX-License-Identifier: Apache-2.0
#include "local_file_system.h"

#include <sys/vfs.h>

#include <cerrno>
#include <cstring>

namespace mooncake::store {

// Numbers: linux/magic.h and the sources of the file systems.
const char* networkFileSystem(long type) {
    switch (static_cast<unsigned long>(type) & 0xffffffff) {
        case 0x6969:
            return "NFS";
        case 0x517b:
        case 0xfe534d42:
        case 0xff534d42:
            return "SMB";
        case 0x00c36400:
            return "Ceph";
        case 0x01021997:
            return "9P";
        case 0x5346414f:
        case 0x6b414653:
            return "AFS";
        case 0x73757245:
            return "Coda";
        case 0x564c:
            return "NCP";
        case 0x0bd00bd0:
            return "Lustre";
        case 0x47504653:
            return "GPFS";
        case 0x7461636f:
            return "OCFS2";
        case 0x01161970:
            return "GFS2";
        case 0x65735546:
            return "FUSE";
        case 0x20030528:
            return "OrangeFS";
        case 0x19830326:
            return "BeeGFS";
        default:
            return nullptr;
    }
}

Result<> checkLocalFolder(const std::string& folder) {
    struct statfs status = {};
    if (statfs(folder.c_str(), &status) != 0) {
        return failed(Failure::kUnavailable, "the directory's folder '" + folder +
                                                 "' cannot be used: " + std::strerror(errno));
    }
    const char* name = networkFileSystem(status.f_type);
    if (name == nullptr) return {};
    return failed(Failure::kUnsupported,
                  "the directory's folder '" + folder + "' is on a file system of the kind " +
                      name +
                      ", whose locks do not hold between machines; put it on a local disk, or use "
                      "etcd");
}

}  // namespace mooncake::store
