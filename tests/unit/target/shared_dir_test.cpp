// SPDX-License-Identifier: Apache-2.0
#include "shared_dir.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "error_of.h"
#include "fake_nvmet.h"
#include "temp_dir.h"
#include "tree_snapshot.h"

namespace mooncake::nvmeof_generic {
namespace {

class SharedDirTest : public testing::Test {
 protected:
    std::unique_ptr<SharedDir> create() {
        auto lock = TreeLock::acquire(tree_);
        auto created = SharedDir::create(tree_, lock.value(), place_);
        return created.ok() ? created.take() : nullptr;
    }
    Result<std::unique_ptr<SharedDir>> join() {
        auto lock = TreeLock::acquire(tree_);
        return SharedDir::join(tree_, lock.value(), place_);
    }
    Result<> removeUnused() {
        auto lock = TreeLock::acquire(tree_);
        return SharedDir::removeUnused(tree_, lock.value(), place_, ProcessFd());
    }
    bool there() { return tree_.files->exists(place_.path) == 0; }

    TempDir dir_;
    const NvmetTree tree_{std::make_shared<FakeNvmet>(dir_.path()), dir_.path()};
    const SharedDir::Place place_{tree_.host("h"), tree_.host("mark-of-h")};
    const TreeSnapshot empty_ = takeSnapshot(dir_.path());
};

// Also while nothing is linked to it yet, or any more: its users' locks alone keep it.
TEST_F(SharedDirTest, StaysWhileItHasAUser) {
    auto first = create();
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(errorOf(removeUnused()).code, EBUSY);
    auto second = join();
    ASSERT_TRUE(second.ok()) << second.error().message;
    first.reset();
    EXPECT_TRUE(there());
    EXPECT_EQ(errorOf(removeUnused()).code, EBUSY);
    EXPECT_TRUE(join().ok());
    second.take().reset();
    EXPECT_EQ(takeSnapshot(dir_.path()), empty_);
}

TEST_F(SharedDirTest, IsNotJoinedWithoutItsMark) {
    ASSERT_EQ(tree_.files->makeDir(place_.path), 0);
    EXPECT_EQ(create(), nullptr);
    EXPECT_EQ(errorOf(join()).code, ENOENT);
    EXPECT_TRUE(there());
}

TEST_F(SharedDirTest, GoesWhenItsUsersHaveDied) {
    ASSERT_EQ(tree_.files->makeDir(place_.path), 0);
    ASSERT_EQ(tree_.files->makeDir(place_.marker), 0);
    EXPECT_TRUE(removeUnused().ok());
    EXPECT_EQ(takeSnapshot(dir_.path()), empty_);
    EXPECT_TRUE(removeUnused().ok());  // nothing to do
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
