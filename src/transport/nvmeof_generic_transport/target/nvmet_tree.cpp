// SPDX-License-Identifier: Apache-2.0
#include "nvmet_tree.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <thread>

// <linux/magic.h> does not have it; fs/configfs/configfs_internal.h, part of the kernel's ABI.
#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570
#endif

namespace mooncake::nvmeof_generic {
namespace {

bool isConfigfs(const std::string& path) {
    struct statfs status;
    return ::statfs(path.c_str(), &status) == 0 && status.f_type == CONFIGFS_MAGIC;
}

}  // namespace

Result<> checkUsable(const NvmetTree& tree, const std::string& trtype) {
    const int code = tree.files->exists(tree.subsystems());
    if (code == 0) return {};
    if (code != ENOENT) return treeError(code, "cannot look at " + tree.subsystems());
    const std::string parent = tree.root.substr(0, tree.root.find_last_of('/'));
    if (!isConfigfs(parent)) {
        return makeError(ENOENT, "configfs is not mounted at " + parent,
                         "modprobe configfs; mount -t configfs none " + parent);
    }
    return makeError(ENOENT, "the kernel has no NVMe target: there is no " + tree.subsystems(),
                     "modprobe -a nvmet nvmet-" + trtype);
}

Error treeError(int code, const std::string& what) {
    switch (code) {
        case EACCES:
        case EPERM:
            return makeError(code, what, "changing the kernel's NVMe target takes root");
        case EROFS:
            return makeError(code, what,
                             "configfs is mounted read-only here; in a container, mount the host's "
                             "/sys/kernel/config writable");
        case EMFILE:
            return makeError(code, what, "raise the limit of open files (ulimit -n)");
        default:
            return makeError(code, what);
    }
}

Result<TreeLock> TreeLock::acquire(const NvmetTree& tree, std::chrono::milliseconds limit) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    UniqueFd lock;
    while (true) {
        const int code =
            tree.files->tryLock(tree.subsystems(), ConfigTree::LockMode::kExclusive, lock);
        if (code == 0) return TreeLock(std::move(lock));
        if (code != EWOULDBLOCK) return treeError(code, "cannot lock " + tree.subsystems());
        if (std::chrono::steady_clock::now() >= deadline) {
            return makeError(
                EBUSY, "cannot lock " + tree.subsystems(),
                "another process holds it; 'fuser -v " + tree.subsystems() + "' shows which");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

}  // namespace mooncake::nvmeof_generic
