// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "nvmet_tree.h"
#include "temp_dir.h"
#include "transport/nvmeof_generic_transport/target/config_tree.h"

namespace mooncake::nvmeof_generic {
namespace {

using LockMode = ConfigTree::LockMode;

class PosixConfigTreeTest : public testing::Test {
 protected:
    std::string at(const std::string& name) { return dir_.path() + "/" + name; }
    TempDir dir_;
    std::shared_ptr<ConfigTree> tree_ = makePosixConfigTree();
};

TEST_F(PosixConfigTreeTest, MakesListsAndRemovesFolders) {
    EXPECT_EQ(tree_->makeDir(at("b")), 0);
    EXPECT_EQ(tree_->makeDir(at("b")), EEXIST);
    EXPECT_EQ(tree_->makeDir(at("a")), 0);
    std::vector<std::string> names{"old"};
    EXPECT_EQ(tree_->list(dir_.path(), names), 0);
    EXPECT_EQ(names, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(tree_->exists(at("a")), 0);
    EXPECT_EQ(tree_->removeDir(at("a")), 0);
    EXPECT_EQ(tree_->removeDir(at("a")), ENOENT);
    EXPECT_EQ(tree_->exists(at("a")), ENOENT);
    EXPECT_EQ(tree_->list(at("a"), names), ENOENT);
}

TEST_F(PosixConfigTreeTest, ReadsAndWritesAttributesThatAreThere) {
    const std::string path = dir_.file("attribute", 0);
    std::string value = "old";
    EXPECT_EQ(tree_->readFile(path, value), 0);
    EXPECT_EQ(value, "");
    EXPECT_EQ(tree_->writeFile(path, "4420\n"), 0);
    EXPECT_EQ(tree_->readFile(path, value), 0);
    EXPECT_EQ(value, "4420");
    EXPECT_EQ(tree_->writeFile(at("missing"), "1"), ENOENT);
    EXPECT_EQ(tree_->exists(at("missing")), ENOENT);
    EXPECT_EQ(tree_->readFile(at("missing"), value), ENOENT);
}

TEST_F(PosixConfigTreeTest, Links) {
    ASSERT_EQ(tree_->makeDir(at("a")), 0);
    EXPECT_EQ(tree_->link(at("a"), at("l")), 0);
    EXPECT_EQ(tree_->link(at("a"), at("l")), EEXIST);
    EXPECT_EQ(tree_->exists(at("l")), 0);
    EXPECT_EQ(tree_->unlink(at("l")), 0);
    EXPECT_EQ(tree_->unlink(at("l")), ENOENT);
    EXPECT_EQ(tree_->exists(at("a")), 0);
}

TEST_F(PosixConfigTreeTest, LocksExcludeEachOtherInOneProcess) {
    UniqueFd a, b, c;
    ASSERT_EQ(tree_->tryLock(dir_.path(), LockMode::kShared, a), 0);
    ASSERT_EQ(tree_->tryLock(dir_.path(), LockMode::kShared, b), 0);
    EXPECT_EQ(tree_->tryLock(dir_.path(), LockMode::kExclusive, c), EWOULDBLOCK);
    EXPECT_FALSE(c.valid());
    b.reset();
    EXPECT_EQ(tree_->tryLock(dir_.path(), LockMode::kExclusive, a), 0);  // a change of mode
    EXPECT_EQ(tree_->tryLock(dir_.path(), LockMode::kShared, b), EWOULDBLOCK);
    a.reset();
    EXPECT_EQ(tree_->tryLock(dir_.path(), LockMode::kExclusive, c), 0);
    EXPECT_EQ(tree_->tryLock(at("missing"), LockMode::kShared, b), ENOENT);
}

TEST_F(PosixConfigTreeTest, LocksEndWithTheProcess) {
    const pid_t child = fork();
    if (child == 0) {
        UniqueFd lock;
        _exit(tree_->tryLock(dir_.path(), LockMode::kExclusive, lock));
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    UniqueFd lock;
    EXPECT_EQ(tree_->tryLock(dir_.path(), LockMode::kExclusive, lock), 0);
}

TEST_F(PosixConfigTreeTest, TheTreeLockGivesUpInTheEnd) {
    const NvmetTree tree{tree_, dir_.path()};
    ASSERT_EQ(tree_->makeDir(tree.subsystems()), 0);
    {
        auto held = TreeLock::acquire(tree);
        ASSERT_TRUE(held.ok());
        const auto refused = TreeLock::acquire(tree, std::chrono::milliseconds(20));
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().code, EBUSY);
    }
    EXPECT_TRUE(TreeLock::acquire(tree, std::chrono::milliseconds(0)).ok());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
