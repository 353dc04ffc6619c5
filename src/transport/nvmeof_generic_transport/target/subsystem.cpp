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
        // Half made it looks like an orphan: nobody may look then.
        auto treeLock = TreeLock::acquire(tree);
        if (!treeLock.ok()) return treeLock.error();
        auto claim = Claim::make(tree, treeLock.value(), nqn);
        if (!claim.ok()) return claim.error();
        made.reset(new Subsystem(tree, nqn, claim.take(), true));
    }
    int code = tree.files->exists(path + "/attr_model");
    if (code == 0) code = tree.files->writeFile(path + "/attr_model", kModel);
    if (code != 0 && code != ENOENT) return treeError(code, "cannot set " + path + "/attr_model");
    code = tree.files->writeFile(path + "/attr_allow_any_host", allowAnyHost ? "1" : "0");
    if (code != 0) return treeError(code, "cannot set " + path + "/attr_allow_any_host");
    return made;
}

Result<std::unique_ptr<Subsystem>> Subsystem::claim(const NvmetTree& tree, const TreeLock& treeLock,
                                                    const std::string& nqn) {
    auto claim = Claim::takeOver(tree, treeLock, nqn);
    if (!claim.ok()) return claim.error();
    return std::unique_ptr<Subsystem>(new Subsystem(tree, nqn, claim.take(), false));
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
    auto ended = claim_->end();
    claim_.reset();
    return ended;
}

Subsystem::~Subsystem() {
    if (!removeAtEnd_) return;
    if (const auto removed = remove(); !removed.ok()) LOG(ERROR) << removed.error().message;
}

}  // namespace mooncake::nvmeof_generic
