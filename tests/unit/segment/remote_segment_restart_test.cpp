// SPDX-License-Identifier: Apache-2.0
// A number means one file, whatever the node does.
#include <gtest/gtest.h>

#include "segment_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

class RestartTest : public RemoteSegmentTest {
 protected:
    // The target is away: what is open fails, connecting fails.
    void stopTarget() {
        initiator.change([&] {
            initiator.connectError = ECONNREFUSED;
            initiator.removed = {1, 2, 3};
        });
        {
            std::lock_guard lock(pool.mutex);
            pool.errors["segment"] = ENODEV;
        }
        std::lock_guard lock(initiator.mutex);
        for (auto& [nqn, connection] : initiator.connections) {
            if (auto alive = connection.lock()) alive->up = false;
        }
    }
    // The subsystem from before is gone for good, also for those who still have its descriptor.
    void startTarget(const RemoteFiles& files) {
        std::string before;
        {
            std::lock_guard lock(mutex);
            before = descriptor.subsystemNqn;
            descriptor.subsystemNqn = "nqn.2026-01.org.example:run" + std::to_string(++runs_);
            descriptor.files = files;
        }
        {
            std::lock_guard lock(pool.mutex);
            pool.errors.clear();
        }
        initiator.change([&] {
            initiator.gone.insert(before);
            initiator.connectError = 0;
        });
    }
    // Where the last request went: "<run>/<nsid>".
    std::string lastDevice() {
        std::lock_guard lock(pool.mutex);
        const std::string& name = pool.devices.back()->spec.name;
        const size_t from = name.rfind(":run") + 1;
        return name.substr(from, name.size() - from - 1);
    }

 private:
    int runs_ = 0;
};

// The program means b: it must not get c, which has b's number now.
TEST_F(RestartTest, AWriteThatWaitsDoesNotGoIntoAnotherFile) {
    start();
    startTarget({{1, file(1, "a")}, {2, file(2, "b")}, {3, file(3, "c")}});
    EXPECT_EQ(run(2, 0, IoOp::kWrite), 0);
    stopTarget();
    run(2, 0, IoOp::kWrite);
    Ended meansB, meansC;
    submit(2, meansB, 0, IoOp::kWrite);
    submit(3, meansC, 0, IoOp::kWrite);
    startTarget({{1, file(1, "b")}, {2, file(2, "c")}});
    EXPECT_EQ(wait(meansB), ESTALE);
    EXPECT_EQ(wait(meansC), 0);
    EXPECT_EQ(lastDevice(), "run2/2");
}

// With an engine that numbers the files, they are found again.
TEST_F(RestartTest, AFileIsFoundUnderItsNewNsid) {
    numbersLast = true;
    start();
    startTarget({{1, file(1, "a")}, {2, file(2, "b")}, {3, file(3, "c")}});
    EXPECT_EQ(run(2), 0);
    EXPECT_EQ(run(1), 0);
    stopTarget();
    run(1);
    run(2);
    Ended waiting, missing;
    submit(2, waiting, 0, IoOp::kWrite);
    submit(1, missing, 0, IoOp::kWrite);
    startTarget({{2, file(1, "b")}, {3, file(2, "c")}});
    EXPECT_EQ(wait(missing), ESTALE);
    EXPECT_EQ(wait(waiting), 0);
    EXPECT_EQ(lastDevice(), "run2/1");
    EXPECT_EQ(run(3), 0);
    EXPECT_EQ(lastDevice(), "run2/2");
}

TEST_F(RestartTest, AFileThatComesBackIsUsedAgain) {
    start();
    startTarget({{1, file(1, "a")}, {2, file(2, "b")}});
    EXPECT_EQ(run(1), 0);
    stopTarget();
    run(1);
    startTarget({{2, file(2, "b")}});
    EXPECT_TRUE(runUntil(1, ESTALE));
    {
        std::lock_guard lock(mutex);
        descriptor.files[1] = file(9, "a");
    }
    EXPECT_TRUE(runUntil(1, 0));
    EXPECT_EQ(lastDevice(), "run2/9");
}

// Programs that go on asking do not keep the metadata service busy.
TEST_F(RestartTest, AMissingFileIsNotLookedForWithEachRequest) {
    start();
    startTarget({{1, file(1, "a")}, {2, file(2, "b")}});
    EXPECT_EQ(run(1), 0);
    stopTarget();
    run(1);
    startTarget({{2, file(2, "b")}});
    EXPECT_TRUE(runUntil(1, ESTALE));
    const auto begin = std::chrono::steady_clock::now();
    int before = 0;
    {
        std::lock_guard lock(mutex);
        before = freshLooks;
    }
    for (int i = 0; i < 2000; ++i) EXPECT_EQ(run(1), ESTALE);
    const auto halves = (std::chrono::steady_clock::now() - begin) / 500ms;
    std::lock_guard lock(mutex);
    EXPECT_LE(freshLooks - before, halves + 1);
}

// The same incarnation: registered again, under a new nsid. The old device is not used any more.
TEST_F(RestartTest, TheDeviceOfAFileThatHasMovedIsClosed) {
    start();
    startTarget({{1, file(1, "a")}, {2, file(2, "b")}});
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
    std::shared_ptr<FakeDevice> moved, other;
    {
        std::lock_guard lock(pool.mutex);
        moved = pool.devices[pool.devices.size() - 2];
        other = pool.devices.back();
        pool.errors["file 2"] = EIO;
        pool.errorsLeft = 1;
    }
    {
        std::lock_guard lock(mutex);
        descriptor.files = {{3, file(3, "a")}, {2, file(2, "b")}};
    }
    EXPECT_EQ(run(2), EIO);  // which makes the segment look again
    EXPECT_TRUE(initiator.waitFor([&] {
        std::lock_guard lock(pool.mutex);
        return moved->closed;
    }));
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(lastDevice(), "run1/3");
    EXPECT_FALSE(other->closed);
}

// The program has its numbers from what the engine had cached before the restart.
TEST_F(RestartTest, WhatTheEngineShowedFirstCounts) {
    start();
    cached = descriptor;
    cached->files = {{1, file(1, "a")}, {2, file(2, "b")}};
    startTarget({{1, file(1, "b")}, {2, file(2, "c")}, {3, file(3, "d")}});
    // Is not in the cache: the segment looks afresh.
    EXPECT_EQ(run(3), 0);
    EXPECT_EQ(run(1), ESTALE);
    EXPECT_EQ(run(2), ESTALE);
}

// Every file is pinned when the segment sees it, not when it is asked for.
TEST_F(RestartTest, AFileThatNobodyHasUsedIsPinnedToo) {
    start();
    startTarget({{1, file(1, "a")}, {2, file(2, "b")}});
    EXPECT_EQ(run(1), 0);
    stopTarget();
    run(1);
    startTarget({{1, file(1, "a")}, {2, file(2, "c")}});
    EXPECT_TRUE(runUntil(1, 0));
    EXPECT_EQ(run(2), ESTALE);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
