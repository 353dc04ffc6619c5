// SPDX-License-Identifier: Apache-2.0
// The operations on nvmet's configfs tree, behind an interface: unit tests run on an ordinary
// folder and fail each operation in turn.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transport/nvmeof_generic_transport/common/process_fd.h"

namespace mooncake::nvmeof_generic {

/// Every call returns 0 or a positive errno value, and may block. Paths are absolute. Thread-safe.
class ConfigTree {
 public:
    enum class LockMode { kShared, kExclusive };

    virtual ~ConfigTree() = default;

    /// @return EEXIST when it is there already
    virtual int makeDir(const std::string& path) = 0;
    /// Removes one folder; configfs takes the attributes and default groups in it along.
    /// @return EBUSY while something links to it, ENOTEMPTY while it holds objects made by mkdir
    virtual int removeDir(const std::string& path) = 0;

    /// Writes `value` (not empty: configfs answers EFAULT) to an existing attribute in one call.
    virtual int writeFile(const std::string& path, std::string_view value) = 0;
    /// Takes an attribute from everyone but its owner (chmod 600), as long as its object exists.
    /// @return EBUSY when somebody has it open, who could still read what is written to it later
    virtual int hide(const std::string& path) = 0;
    /// Reads an attribute, without the newline at its end.
    virtual int readFile(const std::string& path, std::string& value) = 0;

    /// Makes the symbolic link `path` to the object at `target`.
    virtual int link(const std::string& target, const std::string& path) = 0;
    virtual int unlink(const std::string& path) = 0;

    /// The names in a folder, sorted, without "." and "..".
    virtual int list(const std::string& path, std::vector<std::string>& names) = 0;
    /// @return 0 when there is something at `path`, ENOENT when not
    virtual int exists(const std::string& path) = 0;

    /// Takes a folder, and with it all that is in it, from everyone but its owner and root (chmod
    /// 700), as long as it exists.
    virtual int keepPrivate(const std::string& path) = 0;

    /// Takes an advisory lock on the folder `path` without waiting. It ends when `lock` is closed,
    /// at the latest with the process. Two locks of one process exclude each other like those of
    /// two processes.
    /// @param lock  where the lock goes. When it holds one on `path` already, the mode of that is
    ///     changed; a change that is refused loses the lock (flock(2)).
    /// @return EWOULDBLOCK when others hold it, ENOENT when the folder goes meanwhile
    virtual int tryLock(const std::string& path, LockMode mode, ProcessFd& lock) = 0;

    /// Takes an exclusive lock that is there only while somebody has it, or has died with it: makes
    /// the folder `path` and locks it. So nobody can have opened it in times when he could reach
    /// it.
    /// @return EWOULDBLOCK when others hold it
    virtual int tryEnter(const std::string& path, ProcessFd& lock) = 0;
    /// Ends that.
    virtual int leave(const std::string& path, ProcessFd& lock) = 0;
};

/// The one over the file system.
std::shared_ptr<ConfigTree> makePosixConfigTree();

}  // namespace mooncake::nvmeof_generic
