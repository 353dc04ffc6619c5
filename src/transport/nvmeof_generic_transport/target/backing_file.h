// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "export_plan.h"
#include "transport/nvmeof_generic_transport/common/open_path.h"
#include "transport/nvmeof_generic_transport/common/process_fd.h"
#include "transport/nvmeof_generic_transport/common/result.h"

namespace mooncake::nvmeof_generic {

/// Which file it is, whatever its name: device and inode of a regular file, device number of a
/// block device. Stays true while the file is open somewhere.
struct FileIdentity {
    bool blockDevice;
    uint64_t device;
    uint64_t inode;  // 0 for a block device

    auto operator<=>(const FileIdentity&) const = default;
};

/// An open regular file or block device that was found fit to be exported. Everything known about
/// it was asked of the descriptor, so whoever uses the descriptor gets what was judged.
class BackingFile {
 public:
    struct Rules {
        bool allowBusy = false;  ///< block devices that are mounted or held by LVM, RAID or swap
        bool readOnly = false;   ///< opened for reading only
        PathCheck pathCheck = PathCheck::kOn;
    };
    /// @return EINVAL (neither regular file nor block device), EBUSY (device in use), ENOENT,
    ///     EACCES (also where others than root and we have a hand in the path, see openPath()),
    ///     EROFS ...
    static Result<BackingFile> open(const std::string& path, const Rules& rules);

    int fd() const { return fd_.get(); }
    const std::string& path() const { return path_; }  ///< as given to open()
    /// Absolute, without symbolic links: as the kernel named it at open().
    const std::string& kernelName() const { return kernelName_; }
    const FileIdentity& identity() const { return identity_; }
    /// What makes it this file also after a restart: file_uuid.h.
    const std::string& uuid() const { return uuid_; }
    const FileGeometry& geometry() const { return geometry_; }
    /// Whether the file system lets it be opened for direct I/O.
    bool directIo() const { return directIo_; }

    /// Whether the size of a device is still what it was at open().
    bool deviceSizeUnchanged() const;

 private:
    BackingFile() = default;
    Result<> judge(bool readOnly);

    ProcessFd fd_;  // of a block device: opened exclusively, which nobody else can do meanwhile
    std::string path_;
    std::string kernelName_;
    FileIdentity identity_{};
    std::string uuid_;
    FileGeometry geometry_{};
    bool directIo_ = true;
};

/// What the kernel calls an open file of this process; "" when it cannot say.
std::string openFileName(int fd);

}  // namespace mooncake::nvmeof_generic
