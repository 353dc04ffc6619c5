// SPDX-License-Identifier: Apache-2.0
#include "planning_tree.h"

#include <cerrno>

#include "text_file.h"

namespace mooncake::nvmeof_generic::admin {

PlanningTree::PlanningTree(std::shared_ptr<ConfigTree> tree, std::string root)
    : tree_(std::move(tree)), root_(std::move(root)) {}

bool PlanningTree::isGone(const std::string& path) {
    std::lock_guard guard(mutex_);
    for (std::string part = path; part.size() > root_.size(); part.resize(part.find_last_of('/'))) {
        if (gone_.contains(part)) return true;
    }
    return false;
}

std::vector<std::string> PlanningTree::namesIn(const std::string& folder) {
    std::vector<std::string> names;
    list(folder, names);
    return names;
}

// Whether there is anything in it that was made by mkdir or symlink: ENOTEMPTY.
bool PlanningTree::holdsObjects(const std::string& path) {
    for (const char* group : {"namespaces", "allowed_hosts", "subsystems", "referrals"}) {
        if (!namesIn(path + "/" + group).empty()) return true;
    }
    // The group 1 comes with the port.
    for (const std::string& group : namesIn(path + "/ana_groups")) {
        if (group != "1") return true;
    }
    return false;
}

// Whether a link points to it, whatever the link's own name: EBUSY.
bool PlanningTree::isLinked(const std::string& path) {
    const size_t slash = path.find_last_of('/');
    const std::string name = path.substr(slash + 1), kind = path.substr(0, slash);
    std::string from, group;
    if (kind == root_ + "/subsystems") from = root_ + "/ports", group = "/subsystems";
    if (kind == root_ + "/hosts") from = root_ + "/subsystems", group = "/allowed_hosts";
    if (from.empty()) return false;
    for (const std::string& holder : namesIn(from)) {
        const std::string folder = from + "/" + holder + group;
        for (const std::string& link : namesIn(folder)) {
            if (linkedName(folder + "/" + link) == name) return true;
        }
    }
    return false;
}

int PlanningTree::makeDir(const std::string& path) {
    const int code = exists(path);
    if (code != ENOENT) return code == 0 ? EEXIST : code;
    std::lock_guard guard(mutex_);
    if (gone_.erase(path) == 0) made_.insert(path);
    return 0;
}

int PlanningTree::removeDir(const std::string& path) {
    if (const int code = exists(path); code != 0) return code;
    if (isLinked(path)) return EBUSY;
    if (holdsObjects(path)) return ENOTEMPTY;
    std::lock_guard guard(mutex_);
    if (made_.erase(path) == 0) gone_.insert(path);
    return 0;
}

int PlanningTree::unlink(const std::string& path) {
    if (const int code = exists(path); code != 0) return code;
    std::lock_guard guard(mutex_);
    gone_.insert(path);
    return 0;
}

int PlanningTree::writeFile(const std::string& path, std::string_view) {
    return exists(path);
}

int PlanningTree::hide(const std::string& path) {
    return exists(path);
}

int PlanningTree::readFile(const std::string& path, std::string& value) {
    return isGone(path) ? ENOENT : tree_->readFile(path, value);
}

int PlanningTree::link(const std::string&, const std::string&) {
    return EROFS;
}

int PlanningTree::list(const std::string& path, std::vector<std::string>& names) {
    names.clear();
    if (isGone(path)) return ENOENT;
    const int code = tree_->list(path, names);
    std::erase_if(names, [&](const std::string& name) { return isGone(path + "/" + name); });
    std::lock_guard guard(mutex_);
    for (const std::string& made : made_) {
        if (made.substr(0, made.find_last_of('/')) != path) continue;
        names.push_back(made.substr(path.size() + 1));
    }
    return code;
}

int PlanningTree::exists(const std::string& path) {
    if (isGone(path)) return ENOENT;
    {
        std::lock_guard guard(mutex_);
        if (made_.contains(path)) return 0;
    }
    return tree_->exists(path);
}

int PlanningTree::keepPrivate(const std::string& path) {
    return tree_->keepPrivate(path);
}

int PlanningTree::tryLock(const std::string& path, LockMode mode, ProcessFd& lock) {
    return isGone(path) ? ENOENT : tree_->tryLock(path, mode, lock);
}

int PlanningTree::tryEnter(const std::string& path, ProcessFd& lock) {
    return tree_->tryEnter(path, lock);
}

int PlanningTree::leave(const std::string& path, ProcessFd& lock) {
    return tree_->leave(path, lock);
}

}  // namespace mooncake::nvmeof_generic::admin
