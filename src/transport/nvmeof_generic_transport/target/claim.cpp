// SPDX-License-Identifier: Apache-2.0
#include "claim.h"

#include <glog/logging.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace mooncake::nvmeof_generic {
namespace {

// Other entries of ours among the hosts begin otherwise.
constexpr std::string_view kRecordPrefix = "mooncake-nvmeof-owner.";

struct Record {
    std::string path;
    std::string nqn;
    Owner owner;
};

Result<std::vector<Record>> readRecords(const NvmetTree& tree) {
    std::vector<std::string> names;
    if (const int code = tree.files->list(tree.hosts(), names); code != 0) {
        return treeError(code, "cannot list " + tree.hosts());
    }
    std::vector<Record> records;
    for (const std::string& name : names) {
        if (!name.starts_with(kRecordPrefix)) continue;
        std::string_view rest = std::string_view(name).substr(kRecordPrefix.size());
        const auto owner = Owner::take(rest);
        if (owner) records.push_back({tree.host(name), std::string(rest), *owner});
    }
    return records;
}

Result<std::string> makeRecord(const NvmetTree& tree, const std::string& nqn) {
    const auto self = Owner::self(tree.proc);
    if (!self.ok()) return self.error();
    const std::string path = tree.host(std::string(kRecordPrefix) + self.value().toText() + nqn);
    const int code = tree.files->makeDir(path);
    if (code != 0 && code != EEXIST) return treeError(code, "cannot make " + path);
    return path;
}

}  // namespace

Result<std::unique_ptr<Claim>> Claim::make(const NvmetTree& tree, const TreeLock&,
                                           const std::string& nqn) {
    auto record = makeRecord(tree, nqn);
    if (!record.ok()) return record.error();
    std::unique_ptr<Claim> claim(new Claim(tree, nqn, record.take()));
    const std::string path = tree.subsystem(nqn);
    if (const int code = tree.files->makeDir(path); code != 0) {
        return treeError(code, "cannot make " + path);
    }
    const int code = tree.files->tryLock(path, ConfigTree::LockMode::kExclusive, claim->lock_);
    if (code == 0) return claim;
    if (const int left = tree.files->removeDir(path); left != 0) {
        LOG(ERROR) << treeError(left, "cannot remove " + path).message;
    }
    return treeError(code, "cannot lock " + path);
}

Result<std::unique_ptr<Claim>> Claim::takeOver(const NvmetTree& tree, const TreeLock& treeLock,
                                               const std::string& nqn) {
    const std::string path = tree.subsystem(nqn);
    if (lookAt(tree, treeLock, nqn).life != Life::kDead) {
        return treeError(EWOULDBLOCK, "cannot take over " + path);
    }
    auto record = makeRecord(tree, nqn);
    if (!record.ok()) return record.error();
    std::unique_ptr<Claim> claim(new Claim(tree, nqn, record.take()));
    const int code = tree.files->tryLock(path, ConfigTree::LockMode::kExclusive, claim->lock_);
    if (code != 0 && code != EWOULDBLOCK) return treeError(code, "cannot lock " + path);
    return claim;
}

Claim::Sight Claim::lookAt(const NvmetTree& tree, const TreeLock&, const std::string& nqn) {
    Sight sight;
    const auto records = readRecords(tree);
    if (!records.ok()) return sight;
    bool dead = true;
    for (const Record& record : records.value()) {
        if (record.nqn != nqn) continue;
        const OwnerSight owner = nvmeof_generic::lookAt(record.owner, tree.proc);
        if (owner.life == Life::kAlive) return {Life::kAlive, owner.pid, record.owner};
        dead = dead && owner.life == Life::kDead;
        sight.owner = record.owner;
    }
    if (dead && sight.owner) {
        sight.life = Life::kDead;
        return sight;
    }
    ProcessFd lock;
    const int code =
        tree.files->tryLock(tree.subsystem(nqn), ConfigTree::LockMode::kExclusive, lock);
    if (code == 0) sight.life = Life::kDead;
    if (code == EWOULDBLOCK) sight.life = Life::kAlive;
    return sight;
}

Result<> Claim::removeStale(const NvmetTree& tree, const TreeLock&,
                            const std::vector<std::string>& nqns) {
    const auto records = readRecords(tree);
    if (!records.ok()) return records.error();
    Result<> result;
    for (const Record& record : records.value()) {
        if (std::find(nqns.begin(), nqns.end(), record.nqn) != nqns.end()) continue;
        const int code = unlessGone(tree.files->removeDir(record.path));
        if (code != 0 && result.ok()) result = treeError(code, "cannot remove " + record.path);
    }
    return result;
}

Result<> Claim::end() {
    const auto records = readRecords(tree_);
    if (!records.ok()) return records.error();
    Result<> result;
    for (const Record& record : records.value()) {
        if (record.nqn != nqn_) continue;
        const int code = unlessGone(tree_.files->removeDir(record.path));
        if (code == 0 && record.path == record_) record_.clear();
        if (code != 0 && result.ok()) result = treeError(code, "cannot remove " + record.path);
    }
    return result;
}

Claim::~Claim() {
    if (record_.empty()) return;
    if (const int code = unlessGone(tree_.files->removeDir(record_)); code != 0) {
        LOG(ERROR) << treeError(code, "cannot remove " + record_).message;
    }
}

}  // namespace mooncake::nvmeof_generic
