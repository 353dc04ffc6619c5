// SPDX-License-Identifier: Apache-2.0
#include "subsystem.h"

#include <glog/logging.h>

#include <cerrno>

namespace mooncake::nvmeof_generic {
namespace {

constexpr char kModel[] = "Mooncake file segment";  // at most 40 characters

}  // namespace

Result<std::unique_ptr<Subsystem>> Subsystem::create(const NvmetTree& tree, const std::string& nqn,
                                                     bool allowAnyHost) {
    const std::string path = tree.subsystem(nqn);
    std::unique_ptr<Subsystem> made;
    {
        // Between mkdir and lock it looks like an orphan: nobody may look then.
        auto treeLock = TreeLock::acquire(tree);
        if (!treeLock.ok()) return treeLock.error();
        if (const int code = tree.files->makeDir(path); code != 0) {
            return treeError(code, "cannot make " + path);
        }
        made.reset(new Subsystem(tree, nqn, true));
        const int code = tree.files->tryLock(path, ConfigTree::LockMode::kExclusive, made->lock_);
        if (code != 0) return treeError(code, "cannot lock " + path);
    }
    int code = tree.files->exists(path + "/attr_model");
    if (code == 0) code = tree.files->writeFile(path + "/attr_model", kModel);
    if (code != 0 && code != ENOENT) return treeError(code, "cannot set " + path + "/attr_model");
    code = tree.files->writeFile(path + "/attr_allow_any_host", allowAnyHost ? "1" : "0");
    if (code != 0) return treeError(code, "cannot set " + path + "/attr_allow_any_host");
    return made;
}

Result<std::unique_ptr<Subsystem>> Subsystem::claim(const NvmetTree& tree, const TreeLock&,
                                                    const std::string& nqn) {
    UniqueFd lock;
    const int code =
        tree.files->tryLock(tree.subsystem(nqn), ConfigTree::LockMode::kExclusive, lock);
    if (code != 0) return treeError(code, "cannot lock " + tree.subsystem(nqn));
    std::unique_ptr<Subsystem> claimed(new Subsystem(tree, nqn, false));
    claimed->lock_ = std::move(lock);
    return claimed;
}

Result<> Subsystem::remove() {
    const std::string path = tree_.subsystem(nqn_);
    const int code = unlessGone(tree_.files->removeDir(path));
    if (code == EBUSY) {
        return makeError(code, "cannot remove " + path,
                         "a port still has a link to it that this target did not make");
    }
    if (code != 0) return treeError(code, "cannot remove " + path);
    removeAtEnd_ = false;
    lock_.reset();
    return {};
}

Subsystem::~Subsystem() {
    if (!removeAtEnd_) return;
    if (const auto removed = remove(); !removed.ok()) LOG(ERROR) << removed.error().message;
}

}  // namespace mooncake::nvmeof_generic
