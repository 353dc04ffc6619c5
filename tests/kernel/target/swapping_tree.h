// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic {

/// Does something to a file in the last moment before the kernel opens it, or to the attribute of a
/// key before that is hidden.
class SwappingTree final : public ConfigTree {
 public:
    explicit SwappingTree(std::function<void()> swap,
                          std::function<void(const std::string&)> beforeHiding = {})
        : swap_(std::move(swap)), beforeHiding_(std::move(beforeHiding)) {}
    int makeDir(const std::string& path) override { return tree_->makeDir(path); }
    int removeDir(const std::string& path) override { return tree_->removeDir(path); }
    int writeFile(const std::string& path, std::string_view value) override {
        if (path.ends_with("/enable") && value == "1") swap_();
        return tree_->writeFile(path, value);
    }
    int hide(const std::string& path) override {
        if (beforeHiding_) beforeHiding_(path);
        return tree_->hide(path);
    }
    int readFile(const std::string& path, std::string& value) override {
        return tree_->readFile(path, value);
    }
    int link(const std::string& target, const std::string& path) override {
        return tree_->link(target, path);
    }
    int unlink(const std::string& path) override { return tree_->unlink(path); }
    int list(const std::string& path, std::vector<std::string>& names) override {
        return tree_->list(path, names);
    }
    int exists(const std::string& path) override { return tree_->exists(path); }
    int keepPrivate(const std::string& path) override { return tree_->keepPrivate(path); }
    int tryLock(const std::string& path, LockMode mode, ProcessFd& lock) override {
        return tree_->tryLock(path, mode, lock);
    }
    int tryEnter(const std::string& path, ProcessFd& lock) override {
        return tree_->tryEnter(path, lock);
    }
    int leave(const std::string& path, ProcessFd& lock) override {
        return tree_->leave(path, lock);
    }

 private:
    const std::shared_ptr<ConfigTree> tree_ = makePosixConfigTree();
    const std::function<void()> swap_;
    const std::function<void(const std::string&)> beforeHiding_;
};

}  // namespace mooncake::nvmeof_generic
