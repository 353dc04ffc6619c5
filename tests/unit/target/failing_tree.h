// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic {

/// Fails one chosen operation, and passes the others through.
class FailingTree final : public ConfigTree {
 public:
    explicit FailingTree(std::shared_ptr<ConfigTree> tree) : tree_(std::move(tree)) {}

    /// Lets the `nth` operation from now (1: the next one) fail with `code`.
    void arm(int nth, int code) {
        std::lock_guard guard(mutex_);
        countdown_ = nth;
        code_ = code;
        failed_.clear();
    }
    /// The operation that failed; empty: there were not so many.
    std::string failed() const {
        std::lock_guard guard(mutex_);
        return failed_;
    }

    int makeDir(const std::string& path) override {
        const int code = next("mkdir " + path);
        return code != 0 ? code : tree_->makeDir(path);
    }
    int removeDir(const std::string& path) override {
        const int code = next("rmdir " + path);
        return code != 0 ? code : tree_->removeDir(path);
    }
    int writeFile(const std::string& path, std::string_view value) override {
        const int code = next("write " + path);
        return code != 0 ? code : tree_->writeFile(path, value);
    }
    int hide(const std::string& path) override {
        const int code = next("chmod " + path);
        return code != 0 ? code : tree_->hide(path);
    }
    int readFile(const std::string& path, std::string& value) override {
        const int code = next("read " + path);
        return code != 0 ? code : tree_->readFile(path, value);
    }
    int link(const std::string& target, const std::string& path) override {
        const int code = next("link " + path);
        return code != 0 ? code : tree_->link(target, path);
    }
    int unlink(const std::string& path) override {
        const int code = next("unlink " + path);
        return code != 0 ? code : tree_->unlink(path);
    }
    int list(const std::string& path, std::vector<std::string>& names) override {
        const int code = next("list " + path);
        return code != 0 ? code : tree_->list(path, names);
    }
    int exists(const std::string& path) override {
        const int code = next("stat " + path);
        return code != 0 ? code : tree_->exists(path);
    }
    int keepPrivate(const std::string& path) override {
        const int code = next("chmod " + path);
        return code != 0 ? code : tree_->keepPrivate(path);
    }
    int tryLock(const std::string& path, LockMode mode, ProcessFd& lock) override {
        const int code = next("lock " + path);
        return code != 0 ? code : tree_->tryLock(path, mode, lock);
    }
    int tryEnter(const std::string& path, ProcessFd& lock) override {
        const int code = next("enter " + path);
        return code != 0 ? code : tree_->tryEnter(path, lock);
    }
    int leave(const std::string& path, ProcessFd& lock) override {
        const int code = next("leave " + path);
        return code != 0 ? code : tree_->leave(path, lock);
    }

 private:
    int next(const std::string& operation) {
        std::lock_guard guard(mutex_);
        if (countdown_ == 0 || --countdown_ != 0) return 0;
        failed_ = operation;
        return code_;
    }

    const std::shared_ptr<ConfigTree> tree_;
    mutable std::mutex mutex_;
    int countdown_ = 0;
    int code_ = 0;
    std::string failed_;
};

}  // namespace mooncake::nvmeof_generic
