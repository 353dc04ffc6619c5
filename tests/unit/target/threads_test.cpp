// SPDX-License-Identifier: Apache-2.0
// A limit of threads, as a container has: an error that names it, and nothing stays behind.
#include <gmock/gmock.h>

#include <cerrno>
#include <fstream>

#include "target_fixture.h"
#include "target_process.h"
#include "thread_limit.h"

namespace mooncake::nvmeof_generic {
namespace {

using test_support::ThreadLimit;
using testing::HasSubstr;
using testing::IsEmpty;

class ThreadsTest : public TargetTest, public testing::WithParamInterface<ThreadLimit::Fails> {
 protected:
    // With all that has a thread.
    ThreadsTest() {
        const std::string hosts = files_.file("hosts", 0);
        std::ofstream(hosts) << "nqn.2014-08.org:a\n";
        options_.allowedHostsFile = hosts;
    }
};

INSTANTIATE_TEST_SUITE_P(Limit, ThreadsTest,
                         testing::Values(ThreadLimit::Fails::kOne, ThreadLimit::Fails::kAllFrom));

TEST_P(ThreadsTest, EveryOneOfAStart) {
    const TreeSnapshot before = snapshot();
    int failures = 0;
    for (int nth = 1;; ++nth) {
        const ThreadLimit limit(nth, GetParam());
        auto started = tryStart();
        if (!limit.reached()) break;
        // What cleans up after others may fail alone.
        if (started.ok()) {
            started.take().reset();
        } else {
            ++failures;
            EXPECT_EQ(started.error().code, EAGAIN);
            EXPECT_THAT(started.error().message, HasSubstr("pids.max of the cgroup (TasksMax"));
        }
        ASSERT_EQ(snapshot(), before) << "after thread " << nth;
    }
    EXPECT_GE(failures, 4);  // that remove, change the port, look after the target and its hosts
}

TEST_P(ThreadsTest, EveryOneOfAnExport) {
    const std::string path = files_.file("file", 4096);
    int failures = 0;
    for (int nth = 1;; ++nth) {
        auto target = start();
        const TreeSnapshot before = snapshot();
        const ThreadLimit limit(nth, GetParam());
        const auto added = target->addFile(1, path, 4096);
        if (!limit.reached()) break;
        ++failures;
        EXPECT_EQ(errorOf(added).code, EAGAIN);
        ASSERT_EQ(snapshot(), before) << "after thread " << nth;
    }
    EXPECT_EQ(failures, 2);  // that reserves space, that looks after the files
}

// What must not fail has its thread already.
TEST_P(ThreadsTest, NoneForRemovals) {
    const TreeSnapshot before = snapshot();
    auto target = start();
    const std::string one = files_.file("one", 4096), two = files_.file("two", 4096);
    ASSERT_TRUE(target->addFile(1, one, 4096).ok());
    ASSERT_TRUE(target->addFile(2, two, 4096).ok());
    const ThreadLimit limit(1, GetParam());
    EXPECT_TRUE(target->removeFile(1).ok());
    EXPECT_FALSE(limit.reached());
    target->cutOff();
    EXPECT_FALSE(limit.reached());
    target.reset();
    EXPECT_FALSE(limit.reached());
    EXPECT_EQ(snapshot(), before);
}

TEST_P(ThreadsTest, AHostIsCutOffWithoutANewOne) {
    options_.allowedHostsFile.clear();
    options_.allowedHosts = {"nqn.2014-08.org:a", "nqn.2014-08.org:b"};
    auto target = start();
    const ThreadLimit limit(1, GetParam());
    EXPECT_TRUE(target->setAllowedHosts({"nqn.2014-08.org:a"}).ok());
    EXPECT_FALSE(limit.reached());
    EXPECT_THAT(pathsWith(snapshot(), "nqn.2014-08.org:b"), IsEmpty());
}

// They wait for a start that has threads.
TEST_P(ThreadsTest, OrphansStayForTheNext) {
    const TreeSnapshot before = snapshot();
    TargetProcess dead([&] {
        auto target = Target::start(kLoopback, options_, nvmet_);
        if (!target.ok()) return std::string();
        static std::unique_ptr<Target> kept = target.take();
        return kept->subsystemNqn();
    });
    ASSERT_NE(dead.nqn(), "");
    dead.kill();
    for (int nth = 1;; ++nth) {
        const ThreadLimit limit(nth, GetParam());
        auto started = tryStart();
        if (!limit.reached()) break;
    }
    EXPECT_THAT(pathsWith(snapshot(), dead.nqn()), IsEmpty());
    start().reset();
    EXPECT_EQ(snapshot(), before);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
