// SPDX-License-Identifier: Apache-2.0
// Case 15: a failure at every single configfs step.
#include <cerrno>

#include "failing_tree.h"
#include "target_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

constexpr int kMoreThanAll = 1000;

class RollbackTest : public TargetTest {
 protected:
    RollbackTest() { options_.allowedHosts = {"nqn.2014-08.org:a", "nqn.2014-08.org:b"}; }

    std::unique_ptr<Target> startOn(const std::shared_ptr<FailingTree>& tree) {
        auto started = Target::start(kLoopback, options_, tree);
        if (started.ok()) return started.take();
        ADD_FAILURE() << started.error().message;
        return nullptr;
    }
    // Whether there were no more operations to fail. What follows is to pass in any case.
    bool allPassed() {
        failed_ = tree_->failed();
        tree_->arm(0, 0);
        return failed_.empty();
    }

    std::string failed_;
    std::shared_ptr<FailingTree> tree_ = std::make_shared<FailingTree>(nvmet_);
};

TEST_F(RollbackTest, EveryStepOfAStart) {
    const TreeSnapshot before = snapshot();
    int failures = 0, harmless = 0;
    for (int at = 1; at < kMoreThanAll; ++at) {
        tree_->arm(at, EIO);
        auto started = Target::start(kLoopback, options_, tree_);
        if (allPassed()) break;
        if (started.ok()) {
            ++harmless;  // a step of the search for orphans, which the target itself can do without
            started.take().reset();
        } else {
            ++failures;
            EXPECT_EQ(started.error().code, EIO) << started.error().message;
        }
        ASSERT_EQ(snapshot(), before) << "after a failure of " << failed_;
    }
    // At the least: a port with its mark, lock and address (7), a subsystem with its record, lock
    // and attributes (5), two hosts with mark, lock and link (8), the link.
    EXPECT_GE(failures, 21);
    EXPECT_LE(harmless, 24);
}

TEST_F(RollbackTest, EveryStepOfAStartBesideOthers) {
    auto other = start();
    const TreeSnapshot before = snapshot();
    for (int at = 1; at < kMoreThanAll; ++at) {
        tree_->arm(at, EIO);
        auto started = Target::start(kLoopback, options_, tree_);
        if (allPassed()) break;
        if (started.ok()) started.take().reset();
        ASSERT_EQ(snapshot(), before) << "after a failure of " << failed_;
    }
}

TEST_F(RollbackTest, EveryStepOfAnExport) {
    const std::string path = files_.file("file", 4096);
    int failures = 0;
    for (int at = 1; at < kMoreThanAll; ++at) {
        auto target = startOn(tree_);
        const TreeSnapshot before = snapshot();
        tree_->arm(at, EIO);
        const auto added = target->addFile(1, path, 4096);
        if (allPassed()) break;
        ++failures;
        ASSERT_EQ(errorOf(added).code, EIO) << failed_;
        ASSERT_EQ(snapshot(), before) << "after a failure of " << failed_;
        EXPECT_TRUE(target->addFile(1, path, 4096).ok());
    }
    EXPECT_EQ(failures, 4);  // mkdir, uuid, path, enable
}

TEST_F(RollbackTest, AFailedRemovalCanBeRepeated) {
    const std::string path = files_.file("file", 4096);
    int failures = 0;
    for (int at = 1; at < kMoreThanAll; ++at) {
        auto target = startOn(tree_);
        const TreeSnapshot before = snapshot();
        ASSERT_TRUE(target->addFile(1, path, 4096).ok());
        tree_->arm(at, EIO);
        const auto removed = target->removeFile(1);
        if (allPassed()) break;
        ++failures;
        EXPECT_EQ(errorOf(removed).code, EIO);
        EXPECT_TRUE(target->removeFile(1).ok());
        EXPECT_EQ(snapshot(), before);
    }
    EXPECT_EQ(failures, 1);  // rmdir
}

// What cannot be removed at the end is found by the next start.
TEST_F(RollbackTest, EveryStepOfAStop) {
    const TreeSnapshot before = snapshot();
    const std::string path = files_.file("file", 4096);
    int failures = 0, leftovers = 0;
    for (int at = 1; at < kMoreThanAll; ++at) {
        auto target = startOn(tree_);
        ASSERT_TRUE(target->addFile(1, path, 4096).ok());
        tree_->arm(at, EIO);
        target.reset();
        if (allPassed()) break;
        ++failures;
        if (snapshot() != before) ++leftovers;
        // It is tried a second time.
        if (failed_.find("/namespaces/1") != std::string::npos) {
            EXPECT_EQ(snapshot(), before);
        }
        startOn(tree_).reset();
        ASSERT_EQ(snapshot(), before) << "after a failure of " << failed_;
    }
    EXPECT_GT(failures, 10);
    EXPECT_GT(leftovers, 5);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
