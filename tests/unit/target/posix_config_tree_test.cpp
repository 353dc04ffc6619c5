// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

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
    ProcessFd a, b, c;
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
        ProcessFd lock;
        _exit(tree_->tryLock(dir_.path(), LockMode::kExclusive, lock));
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ProcessFd lock;
    EXPECT_EQ(tree_->tryLock(dir_.path(), LockMode::kExclusive, lock), 0);
}

TEST_F(PosixConfigTreeTest, TheTreeLockGivesUpInTheEnd) {
    const NvmetTree tree{tree_, dir_.path()};
    for (const std::string& folder : {tree.subsystems(), tree.ports(), tree.hosts()}) {
        ASSERT_EQ(tree_->makeDir(folder), 0);
    }
    {
        auto held = TreeLock::acquire(tree);
        ASSERT_TRUE(held.ok());
        const auto refused = TreeLock::acquire(tree, std::chrono::milliseconds(20));
        ASSERT_FALSE(refused.ok());
        EXPECT_EQ(refused.error().code, EBUSY);
    }
    EXPECT_TRUE(TreeLock::acquire(tree, std::chrono::milliseconds(0)).ok());
    std::vector<std::string> names;
    EXPECT_EQ(tree_->list(tree.hosts(), names), 0);
    EXPECT_TRUE(names.empty()) << "the lock is there only while somebody has it";
    // Died with it.
    ASSERT_EQ(tree_->makeDir(tree.host("mooncake-nvmeof-lock")), 0);
    EXPECT_TRUE(TreeLock::acquire(tree, std::chrono::milliseconds(0)).ok());
    EXPECT_EQ(tree_->list(tree.hosts(), names), 0);
    EXPECT_TRUE(names.empty());
}

TEST_F(PosixConfigTreeTest, WhoTakesTheTreeLockShutsOthersOut) {
    const NvmetTree tree{tree_, dir_.path()};
    for (const std::string& folder : {tree.subsystems(), tree.ports(), tree.hosts()}) {
        ASSERT_EQ(tree_->makeDir(folder), 0);
    }
    ASSERT_TRUE(TreeLock::acquire(tree).ok());
    for (const std::string& folder : {tree.subsystems(), tree.ports(), tree.hosts()}) {
        struct stat status;
        ASSERT_EQ(stat(folder.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0700u) << folder;
    }
}

// Of a folder that another one has taken the place of, a lock says nothing.
TEST_F(PosixConfigTreeTest, ALockOnARemovedFolderIsNone) {
    ProcessFd first, second;
    const std::string place = at("place");
    ASSERT_EQ(tree_->tryEnter(place, first), 0);
    EXPECT_EQ(tree_->tryEnter(place, second), EWOULDBLOCK);
    ASSERT_EQ(tree_->leave(place, first), 0);
    EXPECT_EQ(tree_->exists(place), ENOENT);
    EXPECT_EQ(tree_->tryEnter(place, second), 0);
    EXPECT_EQ(tree_->leave(place, second), 0);
}

// Many who want it, one at a time.
TEST_F(PosixConfigTreeTest, OnlyOneEntersAtATime) {
    const std::string place = at("place"), inside = at("inside");
    std::atomic<int> entered = 0, collisions = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&] {
            for (int turn = 0; turn < 200; ++turn) {
                ProcessFd lock;
                while (tree_->tryEnter(place, lock) != 0) std::this_thread::yield();
                if (mkdir(inside.c_str(), 0700) != 0) ++collisions;
                ++entered;
                rmdir(inside.c_str());
                tree_->leave(place, lock);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(entered, 8 * 200);
    EXPECT_EQ(collisions, 0);
}

// The child of a process is no second owner of its locks.
TEST_F(PosixConfigTreeTest, AForkedChildHasNoLock) {
    ProcessFd lock;
    ASSERT_EQ(tree_->tryLock(dir_.path(), LockMode::kExclusive, lock), 0);
    const pid_t child = fork();
    if (child == 0) {
        while (true) pause();
    }
    lock.reset();
    // It begins by letting go of them.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (tree_->tryLock(dir_.path(), LockMode::kExclusive, lock) != 0 &&
           std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_TRUE(lock.valid());
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
