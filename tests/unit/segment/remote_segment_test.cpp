// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cerrno>
#include <thread>
#include <vector>

#include "log_lines.h"
#include "segment_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

TEST_F(RemoteSegmentTest, ConnectsOnceAndOpensEachFileOnce) {
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
    EXPECT_EQ(initiator.opens, 2);
    EXPECT_EQ(initiator.live, 1);
    EXPECT_EQ(freshLooks, 0);
    end();
    EXPECT_EQ(initiator.live, 0);
}

TEST_F(RemoteSegmentTest, DoesNothingBeforeTheFirstRequest) {
    start();
    end();
    EXPECT_EQ(cachedLooks + freshLooks + initiator.connects, 0);
}

// Decision 4: the caller comes back while the connect goes on, and the requests wait.
TEST_F(RemoteSegmentTest, RequestsWaitForTheConnection) {
    initiator.connectBlocks = true;
    start();
    std::vector<Ended> ended(1000);
    for (Ended& one : ended) submit(1, one);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.connects == 1; }));
    {
        std::lock_guard lock(mutex);
        for (const Ended& one : ended) EXPECT_EQ(one.times, 0);
    }
    initiator.change([&] { initiator.connectBlocks = false; });
    for (Ended& one : ended) EXPECT_EQ(wait(one), 0);
}

TEST_F(RemoteSegmentTest, RequestsEndWhenTheirTimeIsUp) {
    initiator.connectError = ECONNREFUSED;
    start(300ms);
    const int error = run(1);
    EXPECT_TRUE(error == ETIMEDOUT || error == ECONNREFUSED) << error;
    // A target that has been away for long is tried again all the same.
    initiator.change([&] { initiator.connectError = 0; });
    EXPECT_TRUE(runUntil(1, 0));
}

// Case 29: once a target has been away for as long as a request may wait, a new request costs one
// attempt, or none between two attempts, and not all its time.
TEST_F(RemoteSegmentTest, WhatIsDownForLongFailsSoon) {
    initiator.connectError = ECONNREFUSED;
    start(300ms);
    const auto attempts = [&] {
        std::lock_guard lock(initiator.mutex);
        return initiator.connects;
    };
    bool afterOneAttempt = false, withoutAny = false;
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (!(afterOneAttempt && withoutAny) && std::chrono::steady_clock::now() < limit) {
        const int before = attempts();
        if (run(1) != ECONNREFUSED) continue;
        afterOneAttempt = afterOneAttempt || attempts() == before + 1;
        withoutAny = withoutAny || attempts() == before;
    }
    EXPECT_TRUE(afterOneAttempt);
    EXPECT_TRUE(withoutAny);
}

TEST_F(RemoteSegmentTest, AnUnknownFileFailsAfterAFreshLook) {
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(9), ENOENT);
    EXPECT_GE(freshLooks, 1);
}

// Case 47: a file registered after the connect.
TEST_F(RemoteSegmentTest, ANewFileIsFoundWithoutReconnecting) {
    start();
    cached = descriptor;
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        descriptor.files[3] = file(3, "three", 4096);
    }
    EXPECT_EQ(run(3), 0);
    EXPECT_EQ(initiator.connections.size(), 1u);
}

// Case 47: a file registered after the segment was opened, and wanted first.
TEST_F(RemoteSegmentTest, WhatTheCachedDescriptorLacksIsLookedForAfresh) {
    start();
    cached = descriptor;
    {
        std::lock_guard lock(mutex);
        descriptor.files[3] = file(3, "three", 4096);
    }
    EXPECT_EQ(run(3), 0);
    EXPECT_EQ(freshLooks, 1);
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(freshLooks, 1);
}

// Decision 5: a file without a device keeps nobody else waiting.
TEST_F(RemoteSegmentTest, AMissingDeviceHoldsUpItsOwnFileAlone) {
    initiator.openErrors[2] = ENXIO;
    start();
    Ended missing;
    submit(2, missing);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.opens > 0; }));
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(missing.times, 0);
    initiator.change([&] { initiator.openErrors.clear(); });
    EXPECT_EQ(wait(missing), 0);
}

// What a request has waited for in vain is told with its end, whatever it was.
class InVainTest : public RemoteSegmentTest {
 protected:
    // What is logged when a request has waited for a second, in which an attempt is made for sure.
    testing::AssertionResult says(const std::string& what) {
        start(1s);
        EXPECT_EQ(run(1), ETIMEDOUT);
        if (log.contain("segment 0 gave no answer in time; " + what)) {
            return testing::AssertionSuccess();
        }
        return testing::AssertionFailure() << log.text();
    }
    test_support::LogLines log;
};

TEST_F(InVainTest, ForTheDevice) {
    initiator.openErrors[1] = ENXIO;
    EXPECT_TRUE(says("waiting for the device of segment 0 file 1: open"));
}

TEST_F(InVainTest, ForTheConnection) {
    initiator.connectBlocks = true;
    EXPECT_TRUE(says("waiting for the connection to nqn.2026-01.org.example:first at "));
    initiator.change([&] { initiator.connectBlocks = false; });
}

TEST_F(InVainTest, ForAnotherAttempt) {
    initiator.connectError = ECONNREFUSED;
    EXPECT_TRUE(says("last: segment 0: connect"));
}

// Who is away for a day is asked for tens of thousands of times.
TEST_F(InVainTest, TheSameFailureIsSaidOnce) {
    initiator.connectError = ECONNREFUSED;
    start();
    Ended ended;
    submit(1, ended);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.connects >= 4; }));
    EXPECT_EQ(log.count("segment 0: connect"), 1u) << log.text();
    initiator.change([&] { initiator.connectError = 0; });
    EXPECT_EQ(wait(ended), 0);
}

// Case 2: a device that is not the one expected fails its own file.
TEST_F(RemoteSegmentTest, AWrongDeviceFailsItsFileAlone) {
    initiator.openErrors[2] = ESTALE;
    start();
    EXPECT_EQ(run(2), ESTALE);
    EXPECT_EQ(run(1), 0);
}

// Cases 2 and 27: a wrong file and an unknown one, wanted in the same moment as a good one.
TEST_F(RemoteSegmentTest, WrongFilesFailAlone) {
    initiator.openErrors[2] = ESTALE;
    initiator.connectBlocks = true;
    start();
    descriptor.files = {{2, file(2, "two")}, {3, file(3, "three")}};
    Ended unknown, wrong, good;
    submit(1, unknown);
    submit(2, wrong);
    submit(3, good);
    initiator.change([&] { initiator.connectBlocks = false; });
    EXPECT_EQ(wait(unknown), ENOENT);
    EXPECT_EQ(wait(wrong), ESTALE);
    EXPECT_EQ(wait(good), 0);
}

// Case 1: the target restarted under another NQN before the first connect, after the segment was
// opened: what the engine has cached leads nowhere.
TEST_F(RemoteSegmentTest, LooksAfreshAfterAConnectThatFailed) {
    initiator.connectError = ECONNREFUSED;
    start();
    cached = descriptor;
    Ended ended;
    submit(1, ended);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.connects > 0; }));
    {
        std::lock_guard lock(mutex);
        descriptor.subsystemNqn = "nqn.2026-01.org.example:second";
    }
    initiator.change([&] { initiator.connectError = 0; });
    EXPECT_EQ(wait(ended), 0);
    std::lock_guard lock(pool.mutex);
    ASSERT_EQ(pool.devices.size(), 1u);
    EXPECT_NE(pool.devices.back()->spec.name.find("second"), std::string::npos);
}

// Case 1: the target restarted under another NQN; failing I/O leads to it without anyone's help.
TEST_F(RemoteSegmentTest, FollowsARestartedTarget) {
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        cached = descriptor;
        descriptor.subsystemNqn = "nqn.2026-01.org.example:second";
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["first"] = EIO;
    }
    EXPECT_EQ(run(1), EIO);
    EXPECT_TRUE(runUntil(1, 0));
    EXPECT_TRUE(initiator.waitFor([&] { return initiator.live == 1; }));
    std::lock_guard lock(pool.mutex);
    EXPECT_TRUE(pool.devices.front()->closed);
    EXPECT_FALSE(pool.devices.back()->closed);
}

// Case 5: after the namespace is gone the device is not used again; its neighbours live.
TEST_F(RemoteSegmentTest, ADeadDeviceIsOpenedAnew) {
    for (int error : {EOPNOTSUPP, ENODATA, ENOSPC, ENXIO, ENODEV}) {
        SCOPED_TRACE(error);
        start();
        EXPECT_EQ(run(1), 0);
        EXPECT_EQ(run(2), 0);
        std::shared_ptr<FakeDevice> first, second;
        {
            std::lock_guard lock(pool.mutex);
            first = pool.devices[pool.devices.size() - 2];
            second = pool.devices.back();
            pool.errors["file 1"] = error;
            pool.errorsLeft = 1;
        }
        initiator.change([&] { initiator.removed.insert(1); });
        EXPECT_EQ(run(1), error);
        EXPECT_EQ(run(1), 0) << "it waits until the segment has looked";
        EXPECT_EQ(run(2), 0);
        {
            std::lock_guard lock(pool.mutex);
            EXPECT_TRUE(first->closed);
            EXPECT_FALSE(second->closed);
        }
        initiator.change([&] { initiator.removed.clear(); });
        end();
    }
}

// Case 5: the last I/O on a file that its node withdraws may fail in any way; nobody asks for the
// file again, and its device is closed all the same.
TEST_F(RemoteSegmentTest, AWithdrawnFileIsClosed) {
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
    {
        std::lock_guard lock(mutex);
        descriptor.files.erase(1);
    }
    std::shared_ptr<FakeDevice> withdrawn, other;
    {
        std::lock_guard lock(pool.mutex);
        withdrawn = pool.devices[pool.devices.size() - 2];
        other = pool.devices.back();
        pool.errors["file 1"] = EIO;
    }
    EXPECT_EQ(run(1), EIO);
    EXPECT_TRUE(initiator.waitFor([&] {
        std::lock_guard lock(pool.mutex);
        return withdrawn->closed;
    }));
    EXPECT_EQ(run(2), 0);
    EXPECT_FALSE(other->closed);
    EXPECT_EQ(run(1), ESTALE);
}

// Two openings of one namespace know nothing of each other's unaligned writes, and a late write of
// the first one would undo one of the second.
TEST_F(RemoteSegmentTest, ANamespaceIsNotOpenedAgainBeforeAllIoOfTheFirstOpeningHasEnded) {
    start();
    EXPECT_EQ(run(1), 0);
    Ended late, next;
    {
        std::lock_guard lock(pool.mutex);
        pool.kernelHolds = true;
    }
    submit(1, late);
    {
        std::lock_guard lock(pool.mutex);
        pool.kernelHolds = false;
        pool.errors["file 1"] = ENODATA;
        pool.errorsLeft = 1;
    }
    initiator.change([&] { initiator.removed.insert(1); });
    EXPECT_EQ(run(1), ENODATA);
    submit(1, next);
    EXPECT_TRUE(eventually([&] {
        std::lock_guard lock(pool.mutex);
        return pool.devices.front()->closed;
    }));
    EXPECT_EQ(run(2), 0);
    EXPECT_EQ(next.times, 0);
    EXPECT_EQ(initiator.opens, 2);
    pool.release(ENODATA);
    EXPECT_EQ(wait(late), ENODATA);
    EXPECT_EQ(wait(next), 0);
    EXPECT_EQ(initiator.opens, 3);
}

// Case 36: a medium error is that of its request. The device stays, with all that others have in
// it, whatever errno the kernel has for it, and those that come after wait for a look at most.
TEST_F(RemoteSegmentTest, AnErrorOfTheMediumLeavesTheDeviceAlone) {
    start();
    EXPECT_EQ(run(1), 0);
    for (int error : {EIO, EILSEQ, EREMOTEIO, ETIMEDOUT, ENODATA, ENOSPC, EOPNOTSUPP}) {
        SCOPED_TRACE(error);
        Ended other;
        {
            std::lock_guard lock(pool.mutex);
            pool.holds = true;
        }
        submit(1, other, 0, IoOp::kWrite);
        {
            std::lock_guard lock(pool.mutex);
            pool.holds = false;
            pool.errors["file 1"] = error;
            pool.errorsLeft = 1;
        }
        EXPECT_EQ(run(1), error);
        EXPECT_EQ(run(1), 0);
        EXPECT_EQ(other.times, 0) << "still where it was";
        EXPECT_EQ(pool.held(), 1u);
        pool.letGo();
        EXPECT_EQ(wait(other), 0);
    }
    EXPECT_EQ(initiator.opens, 1);
    EXPECT_EQ(segment->stats().connects, 1u);
    EXPECT_EQ(initiator.checks, 3);
}

// Two names of one node, or one that was removed and opened again.
TEST_F(RemoteSegmentTest, TwoSegmentsOfOneNodeMeetInTheSameDevice) {
    start();
    Ended one, two;
    one.segment = 1;
    two.segment = 2;
    submit(1, one);
    submit(1, two);
    EXPECT_EQ(wait(one), 0);
    EXPECT_EQ(wait(two), 0);
    EXPECT_EQ(initiator.opens, 1);
    std::lock_guard lock(pool.mutex);
    EXPECT_EQ(pool.devices.size(), 1u);
}

TEST_F(RemoteSegmentTest, ADeviceOfTwoSegmentsIsClosedWithTheLast) {
    start();
    Ended one, two;
    one.segment = 1;
    two.segment = 2;
    submit(1, one);
    submit(1, two);
    wait(one);
    wait(two);
    forget(1);
    ASSERT_TRUE(eventually([&] { return segments->stats().size() == 2; })) << "2 and the new one";
    Ended again;
    again.segment = 2;
    submit(1, again);
    EXPECT_EQ(wait(again), 0);
    EXPECT_EQ(initiator.opens, 1);
    forget(2);
    EXPECT_TRUE(eventually([&] {
        std::lock_guard lock(pool.mutex);
        return pool.devices.front()->closed;
    }));
}

// In a cluster whose nodes come back under other names.
TEST_F(RemoteSegmentTest, SegmentsThatTheEngineHasForgottenAreLetGoOf) {
    start();
    for (uint64_t id = 1; id <= 50; ++id) {
        {
            std::lock_guard lock(mutex);
            descriptor.subsystemNqn = "nqn.2026-01.org.example:node" + std::to_string(id);
        }
        Ended ended;
        ended.segment = id;
        submit(1, ended);
        EXPECT_EQ(wait(ended), 0);
        std::lock_guard lock(mutex);
        forgotten.insert(id);
    }
    forget(0);
    EXPECT_TRUE(eventually([&] { return segments->stats().size() == 1; }));
    EXPECT_TRUE(eventually([&] { return initiator.live == 1; })) << "that of the last one is left";
    Ended late;
    late.segment = 7;
    const RemoteSegments::Request request{7, 1, 0, {IoOp::kRead, this, 0, 4096, &late}};
    segments->submit(&request, 1);
    EXPECT_EQ(wait(late), ECANCELED);
}

// A later use brings everything back, and a number still means the file that it did.
TEST_F(RemoteSegmentTest, ASegmentThatNobodyUsesRests) {
    context.rest = 20ms;
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_TRUE(eventually([&] {
        return initiator.live == 0 && segment->stats().state == SegmentStats::State::kIdle;
    }));
    {
        std::lock_guard lock(mutex);
        descriptor.files = {{1, file(1, "another")}, {2, file(2, "one")}};
    }
    EXPECT_EQ(run(1), ESTALE);
    EXPECT_EQ(run(2), ESTALE);
    EXPECT_EQ(segment->stats().files.size(), 2u);
}

TEST_F(RemoteSegmentTest, ASegmentWithIoInTheKernelDoesNotRest) {
    context.rest = 5ms;
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(pool.mutex);
        pool.kernelHolds = true;
    }
    Ended ended;
    submit(1, ended);
    // It would have rested ten times over.
    const auto end = std::chrono::steady_clock::now() + 50ms;
    EXPECT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > end; }));
    std::shared_ptr<FakeDevice> device;
    {
        std::lock_guard lock(pool.mutex);
        device = pool.devices.back();
        EXPECT_EQ(device->outstanding, 1u);
        EXPECT_FALSE(device->closed);
    }
    pool.release(0);
    EXPECT_EQ(wait(ended), 0);
}

// In a container with a limit of threads.
TEST_F(RemoteSegmentTest, WithoutAThreadRequestsFailAndTheNextOneTriesAgain) {
    std::atomic<bool> threads{false};
    context.startThread = [&](std::function<void()> body) -> Result<std::thread> {
        if (!threads) return makeError(EAGAIN, "no thread", "raise the limit");
        return std::thread(std::move(body));
    };
    start();
    EXPECT_EQ(run(1), EAGAIN);
    EXPECT_EQ(run(1, 5), EAGAIN);
    threads = true;
    EXPECT_EQ(run(1), 0);
}

TEST_F(RemoteSegmentTest, UnalignedWritesAreRefusedWhereThatIsWanted) {
    context.refuseUnalignedWrites = true;
    start();
    descriptor.files = {{1, file(1, "one")}, {2, file(2, "two")}};
    descriptor.files[2].align = 8192;
    const auto ends = [this](uint32_t fileId, IoOp op, uint64_t offset, uint64_t length) {
        Ended ended;
        submit(fileId, ended, 0, op, offset, length);
        return wait(ended);
    };
    for (const char* way : {"waiting", "open"}) {
        SCOPED_TRACE(way);
        EXPECT_EQ(ends(1, IoOp::kWrite, 100, 4096), EINVAL);
        EXPECT_EQ(ends(1, IoOp::kWrite, 4096, 100), EINVAL);
        EXPECT_EQ(ends(1, IoOp::kWrite, 4096, 4096), 0);
        EXPECT_EQ(ends(1, IoOp::kRead, 100, 100), 0);
        EXPECT_EQ(ends(2, IoOp::kWrite, 4096, 4096), EINVAL) << "its node says 8192";
        EXPECT_EQ(ends(2, IoOp::kWrite, 8192, 16384), 0);
    }
}

// Case 45: open segments go on while the metadata service is away.
TEST_F(RemoteSegmentTest, GoesOnWithoutMetadata) {
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        describeError = ECONNREFUSED;
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["file 1"] = EIO;
    }
    EXPECT_EQ(run(1), EIO);
    {
        std::lock_guard lock(pool.mutex);
        pool.errors.clear();
    }
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
}

TEST_F(RemoteSegmentTest, ADescriptorWithoutSenseFailsAtOnce) {
    describeError = EINVAL;
    start();
    EXPECT_EQ(run(1), EINVAL);
}

// Case 40: stopping ends what waits, also behind a connect that hangs for a while.
TEST_F(RemoteSegmentTest, StopEndsWhatWaits) {
    initiator.connectBlocks = true;
    start();
    std::vector<Ended> ended(100);
    for (Ended& one : ended) submit(1, one);
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.connects == 1; }));
    std::thread release([&] { initiator.change([&] { initiator.connectBlocks = false; }); });
    segment->stop();
    release.join();
    for (Ended& one : ended) {
        const int error = wait(one);
        ASSERT_TRUE(error == ECANCELED || error == 0) << error;
    }
    EXPECT_EQ(run(1), ECANCELED);
}

// Case 44: submitting, failing and restarting at the same time loses nothing.
TEST_F(RemoteSegmentTest, NothingIsLostUnderChange) {
    start();
    constexpr int kThreads = 4, kEach = 500;
    std::vector<std::vector<Ended>> ended(kThreads, std::vector<Ended>(kEach));
    std::vector<std::thread> threads;
    for (auto& mine : ended) {
        threads.emplace_back([&] {
            for (Ended& one : mine) submit(1 + (&one - mine.data()) % 2, one);
        });
    }
    for (int i = 0; i < 20; ++i) {
        {
            std::lock_guard lock(mutex);
            descriptor.subsystemNqn = "nqn.2026-01.org.example:number" + std::to_string(i);
        }
        std::lock_guard lock(pool.mutex);
        if (i % 2 != 0) {
            pool.errors.clear();
        } else {
            pool.errors["file 1"] = i % 4 ? EIO : ENODATA;
        }
    }
    for (auto& thread : threads) thread.join();
    {
        std::lock_guard lock(pool.mutex);
        pool.errors.clear();
    }
    for (auto& mine : ended) {
        for (Ended& one : mine) ASSERT_NE(wait(one), -1);
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
