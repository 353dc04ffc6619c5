// SPDX-License-Identifier: Apache-2.0
// nvmet's configfs tree on an ordinary folder: the rules that the target depends on, with the errno
// values that Debian's 6.1 kernel gives for breaking them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/target/config_tree.h"
#include "tree_snapshot.h"

namespace mooncake::nvmeof_generic {

/// Several may stand over one folder, also in forked processes.
class FakeNvmet final : public ConfigTree {
 public:
    /// @param root  becomes the tree unless it is one
    explicit FakeNvmet(const std::string& root);

    int makeDir(const std::string& path) override;
    int removeDir(const std::string& path) override;
    int writeFile(const std::string& path, std::string_view value) override;
    int hide(const std::string& path) override;
    int readFile(const std::string& path, std::string& value) override;
    int link(const std::string& target, const std::string& path) override;
    int unlink(const std::string& path) override;
    int list(const std::string& path, std::vector<std::string>& names) override;
    int exists(const std::string& path) override;
    int keepPrivate(const std::string& path) override;
    int tryLock(const std::string& path, LockMode mode, ProcessFd& lock) override;
    int tryEnter(const std::string& path, ProcessFd& lock) override;
    int leave(const std::string& path, ProcessFd& lock) override;

    const std::string& root() const { return root_; }

    /// To be held by whoever changes the rules below while others use the tree.
    std::mutex& mutex() { return mutex_; }

    /// Whether it is of a kernel that can authenticate hosts; counts for hosts made from here on.
    bool canAuthenticate = false;
    /// "address:port" on which a program that has nothing to do with nvmet listens.
    std::set<std::string> taken;
    /// Addresses that this host does not have.
    std::set<std::string> absent;
    /// Called before a namespace is removed: where a hung disk hangs.
    std::function<void(const std::string& path)> beforeRemoval;
    /// Called when a folder was made.
    std::function<void(const std::string& path)> afterMaking;
    /// Called before a link is removed.
    std::function<void(const std::string& path)> beforeUnlink;
    /// Called between the kernel's opening a file and the end of the enable.
    std::function<void()> duringEnable;

 private:
    int makeDirLocked(const std::string& path);
    int removeDirLocked(const std::string& path);
    bool isLinked(const std::string& path) const;
    int linkPort(const std::string& port);
    int enable(const std::string& ns);
    std::string read(const std::string& path);

    const std::string root_;
    const std::shared_ptr<ConfigTree> posix_;
    std::mutex mutex_;  // makes each call one step, as the kernel's own locks do
};

}  // namespace mooncake::nvmeof_generic
