// SPDX-License-Identifier: Apache-2.0
#include "shared_dir.h"

#include <glog/logging.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {

Result<std::unique_ptr<SharedDir>> SharedDir::create(const NvmetTree& tree, const TreeLock&,
                                                     const Place& place) {
    if (const int code = tree.files->makeDir(place.path); code != 0) {
        return treeError(code, "cannot make " + place.path);
    }
    ProcessFd lock;
    int code = tree.files->tryLock(place.path, ConfigTree::LockMode::kShared, lock);
    if (code == 0) code = tree.files->makeDir(place.marker);
    if (code == 0) {
        return std::unique_ptr<SharedDir>(new SharedDir(tree, place, std::move(lock)));
    }
    if (const int left = tree.files->removeDir(place.path); left != 0) {
        LOG(ERROR) << treeError(left, "cannot remove " + place.path).message;
    }
    return treeError(code, "cannot mark " + place.path + " as made by this transport");
}

Result<std::unique_ptr<SharedDir>> SharedDir::join(const NvmetTree& tree, const TreeLock&,
                                                   const Place& place) {
    ProcessFd lock;
    int code = tree.files->exists(place.marker);
    if (code == 0) code = tree.files->tryLock(place.path, ConfigTree::LockMode::kShared, lock);
    if (code != 0) return treeError(code, "cannot share " + place.path);
    return std::unique_ptr<SharedDir>(new SharedDir(tree, place, std::move(lock)));
}

Result<> SharedDir::removeUnused(const NvmetTree& tree, const TreeLock&, const Place& place,
                                 ProcessFd lock) {
    int code = tree.files->tryLock(place.path, ConfigTree::LockMode::kExclusive, lock);
    if (code == EWOULDBLOCK) return makeError(EBUSY, place.path + " is used by another target");
    if (unlessGone(code) != 0) return treeError(code, "cannot lock " + place.path);

    code = unlessGone(tree.files->removeDir(place.marker));
    if (code != 0) return treeError(code, "cannot remove " + place.marker);
    code = unlessGone(tree.files->removeDir(place.path));
    if (code == 0) return {};
    // Somebody hung objects of his own on it. It stays ours, and goes when those are gone.
    if (const int unmarked = tree.files->makeDir(place.marker); unmarked != 0) {
        LOG(ERROR) << treeError(unmarked, "cannot make " + place.marker).message;
    }
    if (code == EBUSY || code == ENOTEMPTY) {
        return makeError(ENOTEMPTY, place.path + " is left alone: others made objects that use it");
    }
    return treeError(code, "cannot remove " + place.path);
}

SharedDir::~SharedDir() {
    auto treeLock = TreeLock::acquire(tree_);
    if (!treeLock.ok()) {
        LOG(ERROR) << "Leaving " << place_.path << " behind: " << treeLock.error().message;
        return;
    }
    const auto removed = removeUnused(tree_, treeLock.value(), place_, std::move(lock_));
    if (!removed.ok() && removed.error().code != EBUSY) LOG(WARNING) << removed.error().message;
}

}  // namespace mooncake::nvmeof_generic
