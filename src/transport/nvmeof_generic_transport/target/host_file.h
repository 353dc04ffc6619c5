// SPDX-License-Identifier: Apache-2.0
// The file that lists who may connect, and the thread that watches it.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "transport/nvmeof_generic_transport/common/open_path.h"
#include "transport/nvmeof_generic_transport/common/result.h"
#include "transport/nvmeof_generic_transport/common/unique_fd.h"

namespace mooncake::nvmeof_generic {

/// Host NQNs, one a line; blanks around them, empty lines and lines that begin with '#' do not
/// count.
/// @return EINVAL that names the line
Result<std::set<std::string>> parseHostFile(std::string_view text);

/// Reads such a file, which nobody but us and root may be able to write (readGuardedFile()). An
/// empty one lists nobody.
Result<std::set<std::string>> readHostFile(const std::string& path, PathCheck check);

/// Tells of each change of a file: written and closed, or replaced by another (mv, ln -sfn).
/// inotify watches its folder, since a replaced file is another inode. A file that is a relative
/// link into a folder beside it, which is a link itself and is replaced (as in a volume that
/// Kubernetes fills), is noticed too; other links to links are not.
class HostFileWatch {
 public:
    /// Begins to watch; changes from here on are told after start().
    /// @return ENOENT, EACCES, EMFILE (fs.inotify.max_user_instances)
    static Result<std::unique_ptr<HostFileWatch>> create(const std::string& path);

    /// Starts the thread. `changed` runs on it, at a change and, as long as it returns false, once
    /// a second.
    /// @return as startThread()
    Result<> start(std::function<bool()> changed);

    /// Ends the thread; waits for `changed`.
    ~HostFileWatch();
    HostFileWatch(const HostFileWatch&) = delete;
    HostFileWatch& operator=(const HostFileWatch&) = delete;

 private:
    HostFileWatch(std::string folder, std::string name, UniqueFd events, UniqueFd stop);
    bool concerns(const std::string& changedName) const;
    bool readEvents();
    void run(const std::function<bool()>& changed);

    const std::string folder_, name_;
    const UniqueFd events_, stop_;
    std::thread thread_;
};

}  // namespace mooncake::nvmeof_generic
