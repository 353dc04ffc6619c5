// SPDX-License-Identifier: Apache-2.0
#include "nvmet_tree.h"

#include <glog/logging.h>
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

std::string placeOfLock(const NvmetTree& tree) {
    return tree.host("mooncake-nvmeof-lock");
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
    for (const std::string& folder : {tree.hosts(), tree.subsystems(), tree.ports()}) {
        if (const int code = tree.files->keepPrivate(folder); code != 0) {
            return treeError(code, "cannot keep other users out of " + folder);
        }
    }
    const auto deadline = std::chrono::steady_clock::now() + limit;
    const std::string place = placeOfLock(tree);
    ProcessFd lock;
    while (true) {
        const int code = tree.files->tryEnter(place, lock);
        if (code == 0) return TreeLock(tree, std::move(lock));
        if (code != EWOULDBLOCK) return treeError(code, "cannot lock " + place);
        if (std::chrono::steady_clock::now() >= deadline) {
            return makeError(EBUSY, "cannot lock " + place,
                             "another process holds it; 'fuser -v " + place + "' shows which");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

TreeLock::~TreeLock() {
    if (!lock_.valid()) return;
    const std::string place = placeOfLock(tree_);
    // One that stays is in nobody's way: the next one who takes the lock takes it there.
    if (const int code = tree_.files->leave(place, lock_); code != 0) {
        LOG(WARNING) << treeError(code, "cannot remove " + place).message;
    }
}

}  // namespace mooncake::nvmeof_generic
