// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic::admin {

/// nvmet's tree with all removals, and what is made in their course, only imagined: they show in
/// what is listed afterwards, and nothing changes. Removal code that runs on it says what it would
/// do. Refuses what the kernel would refuse.
class PlanningTree final : public ConfigTree {
 public:
    /// @param tree  what it starts from
    /// @param root  of nvmet in it
    PlanningTree(std::shared_ptr<ConfigTree> tree, std::string root);

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
    // The lock of all is taken for real.
    int tryEnter(const std::string& path, ProcessFd& lock) override;
    int leave(const std::string& path, ProcessFd& lock) override;

 private:
    bool isGone(const std::string& path);
    bool holdsObjects(const std::string& path);
    bool isLinked(const std::string& path);
    std::vector<std::string> namesIn(const std::string& folder);

    const std::shared_ptr<ConfigTree> tree_;
    const std::string root_;
    std::mutex mutex_;
    std::set<std::string> gone_, made_;
};

}  // namespace mooncake::nvmeof_generic::admin
