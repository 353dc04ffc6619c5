// SPDX-License-Identifier: Apache-2.0
// advise_retry_cnt, deadlines that hold whatever the segment's thread does, and what is counted.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "segment_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

class RetryTest : public RemoteSegmentTest {
 protected:
    void failIo(int error, int times = 0) {
        std::lock_guard lock(pool.mutex);
        pool.errors["file 1"] = error;
        pool.errorsLeft = times;
    }
    void hold(bool holds) {
        std::lock_guard lock(pool.mutex);
        pool.holds = holds;
    }
    int submitted() {
        std::lock_guard lock(pool.mutex);
        return pool.submitted;
    }
    FileStats fileStats(uint32_t id) {
        for (const FileStats& file : segment->stats().files) {
            if (file.fileId == id) return file;
        }
        return {};
    }
};

TEST_F(RetryTest, AReadIsRepeatedAsOftenAsAdvised) {
    start();
    EXPECT_EQ(run(1), 0);
    failIo(EIO, 2);
    EXPECT_EQ(run(1, 2), 0);
    EXPECT_EQ(submitted(), 4);
    failIo(EIO, 3);
    EXPECT_EQ(run(1, 2), EIO) << "the third attempt is the last";
    EXPECT_EQ(submitted(), 7);
    EXPECT_EQ(fileStats(1).retries, 4u);
}

// The target does not know the namespace any more, and this kernel has not heard of it yet.
TEST_F(RetryTest, AReadOfANamespaceThatIsGoneIsRepeated) {
    start();
    EXPECT_EQ(run(1), 0);
    failIo(EOPNOTSUPP, 2);
    EXPECT_EQ(run(1, 2), 0);
    EXPECT_EQ(submitted(), 4);
}

TEST_F(RetryTest, WithoutAdviceNothingIsRepeated) {
    start();
    EXPECT_EQ(run(1), 0);
    failIo(EIO, 1);
    EXPECT_EQ(run(1), EIO);
    EXPECT_EQ(run(1, -1), 0) << "a negative number is none";
}

// The kernel may have carried it out, or may do so still.
TEST_F(RetryTest, AWriteThatTheKernelHadIsNotRepeated) {
    start();
    EXPECT_EQ(run(1), 0);
    failIo(EIO, 1);
    EXPECT_EQ(run(1, 5, IoOp::kWrite), EIO);
    EXPECT_EQ(submitted(), 2);
}

TEST_F(RetryTest, AWriteThatStillWaitsIsTriedAgain) {
    initiator.connectError = ECONNREFUSED;
    start(200ms);
    Ended plain, advised;
    submit(1, plain, 0, IoOp::kWrite);
    submit(1, advised, 100, IoOp::kWrite);
    EXPECT_NE(wait(plain), 0);
    initiator.change([&] { initiator.connectError = 0; });
    EXPECT_EQ(wait(advised), 0);
    EXPECT_GE(fileStats(1).retries + fileStats(0).retries, 1u);
}

TEST_F(RetryTest, WhatCannotPassIsNotRepeated) {
    start();
    EXPECT_EQ(run(1), 0);
    failIo(EINVAL, 2);
    EXPECT_EQ(run(1, 5), EINVAL);
    EXPECT_EQ(run(9, 5), ENOENT);
    initiator.change([&] { initiator.openErrors[2] = ESTALE; });
    EXPECT_EQ(run(2, 5), ESTALE);
}

// Otherwise the attempts would all be used up while the kernel reconnects.
TEST_F(RetryTest, ARetryWaitsUntilTheConnectionIsUp) {
    start();
    EXPECT_EQ(run(1), 0);
    const auto connection = initiator.connections.begin()->second.lock();
    connection->up = false;
    failIo(EIO, 1);
    Ended ended;
    submit(1, ended, 1);
    ASSERT_TRUE(initiator.waitFor([&] { return true; }));
    const int before = submitted();
    // Several looks at the connection later it still waits.
    const auto looks = [&] {
        std::lock_guard lock(mutex);
        return freshLooks;
    };
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (looks() == 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    EXPECT_EQ(submitted(), before);
    EXPECT_EQ(segment->stats().waiting, 1u);
    connection->up = true;
    EXPECT_EQ(wait(ended), 0);
    EXPECT_EQ(submitted(), before + 1);
}

TEST_F(RetryTest, ARetryFollowsARestartedTarget) {
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(mutex);
        descriptor.subsystemNqn = "nqn.2026-01.org.example:second";
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["first"] = ENODATA;
    }
    EXPECT_EQ(run(1, 3), 0);
}

TEST_F(RetryTest, StopEndsWhatIsToBeRepeated) {
    start();
    EXPECT_EQ(run(1), 0);
    failIo(EIO);
    std::vector<Ended> ended(50);
    for (Ended& one : ended) submit(1, one, 1000000);
    segment->stop();
    for (Ended& one : ended) {
        const int error = wait(one);
        ASSERT_TRUE(error == ECANCELED || error == EIO) << error;
    }
}

// Case 40: the kernel answers when the segment has ended what waited: nobody would end a second
// attempt.
TEST_F(RetryTest, WhatTheKernelAnswersAfterTheStopIsNotRepeated) {
    start();
    EXPECT_EQ(run(1), 0);
    {
        std::lock_guard lock(pool.mutex);
        pool.kernelHolds = true;
    }
    Ended ended;
    submit(1, ended, 5);
    segment->beginStop();
    pool.release(EIO);
    EXPECT_EQ(wait(ended), EIO);
}

// The bound of the answer's time holds also while the segment's thread is in a connect.
TEST_F(RetryTest, RequestsEndInTimeBehindAConnectThatHangs) {
    initiator.connectBlocks = true;
    start(300ms);
    Ended ended;
    submit(1, ended);
    EXPECT_EQ(wait(ended), ETIMEDOUT);
    initiator.change([&] { initiator.connectBlocks = false; });
}

// What was queued behind the I/O that failed has not been tried: whoever closes the device, it
// waits for the next one, reads and writes, with and without advice.
TEST_F(RetryTest, WhatTheKernelNeverHadGoesOnWaiting) {
    start();
    EXPECT_EQ(run(1), 0);
    hold(true);
    std::array<Ended, 4> ended;
    submit(1, ended[0], 0, IoOp::kRead);
    submit(1, ended[1], 0, IoOp::kWrite);
    submit(1, ended[2], 1, IoOp::kRead);
    submit(1, ended[3], 1, IoOp::kWrite);
    EXPECT_EQ(pool.held(), 4u);
    hold(false);
    failIo(ENODATA, 1);
    initiator.change([&] { initiator.removed.insert(1); });
    EXPECT_EQ(run(1), ENODATA);  // the segment looks, and closes the device
    for (Ended& one : ended) EXPECT_EQ(wait(one), 0);
    EXPECT_EQ(fileStats(1).retries, 0u) << "none of these was a second attempt";
    EXPECT_EQ(initiator.opens, 2);
}

TEST_F(RetryTest, WhatTheKernelNeverHadFollowsANewConnection) {
    start();
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
    hold(true);
    Ended ended;
    submit(1, ended, 0, IoOp::kWrite);
    hold(false);
    {
        std::lock_guard lock(mutex);
        descriptor.subsystemNqn = "nqn.2026-01.org.example:second";
    }
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["file 2"] = EIO;
        pool.errorsLeft = 1;
    }
    EXPECT_EQ(run(2), EIO);
    EXPECT_EQ(wait(ended), 0);
    std::lock_guard lock(pool.mutex);
    EXPECT_NE(pool.devices.back()->spec.name.find("second"), std::string::npos);
}

// Its time is what it had from the beginning.
TEST_F(RetryTest, WhatComesBackTooLateEnds) {
    start();
    EXPECT_EQ(run(1), 0);
    hold(true);
    Ended late;
    submit(1, late);
    initiator.change([&] { initiator.openErrors[1] = ENXIO; });
    wasSubmittedAt = std::chrono::steady_clock::now() - kLimit;
    failIo(ENODATA, 1);
    hold(false);
    initiator.change([&] { initiator.removed.insert(1); });
    EXPECT_EQ(run(1), ENODATA);
    EXPECT_EQ(wait(late), ETIMEDOUT);
    std::lock_guard lock(mutex);
    EXPECT_EQ(std::count(expiries.begin(), expiries.end(), wasSubmittedAt.load() + kLimit), 1);
}

TEST_F(RetryTest, StopEndsWhatComesBack) {
    start();
    EXPECT_EQ(run(1), 0);
    hold(true);
    std::array<Ended, 2> ended;
    submit(1, ended[0]);
    submit(1, ended[1], 5);
    segment->stop();
    for (Ended& one : ended) EXPECT_EQ(wait(one), ECANCELED);
}

// Case 40: the pool's threads give it back when the segment has ended what waited.
TEST_F(RetryTest, StopEndsWhatComesBackLate) {
    start();
    EXPECT_EQ(run(1), 0);
    hold(true);
    pool.returnsLater = true;
    std::array<Ended, 2> ended;
    submit(1, ended[0]);
    submit(1, ended[1], 5);
    segment->beginStop();
    pool.giveBack();
    for (Ended& one : ended) EXPECT_EQ(wait(one), ECANCELED);
}

TEST_F(RetryTest, CountsPerFile) {
    start();
    EXPECT_EQ(segment->stats().state, SegmentStats::State::kIdle);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(run(1), 0);
    EXPECT_EQ(run(2), 0);
    EXPECT_EQ(run(77), ENOENT);
    failIo(ENOSPC, 1);
    EXPECT_EQ(run(1), ENOSPC);
    EXPECT_EQ(run(1), 0);
    const FileStats one = fileStats(1), two = fileStats(2), other = fileStats(0);
    EXPECT_EQ(one.reads.latency.count(), 5u);
    EXPECT_EQ(one.reads.bytes, 4u * 4096);
    EXPECT_EQ(one.errors, (std::map<int, uint64_t>{{ENOSPC, 1}}));
    EXPECT_EQ(two.reads.latency.count(), 1u);
    EXPECT_TRUE(two.errors.empty());
    EXPECT_EQ(other.errors, (std::map<int, uint64_t>{{ENOENT, 1}}));
    const SegmentStats all = segment->stats();
    EXPECT_EQ(all.connects, 1u);
    EXPECT_EQ(all.name, "the segment");
    EXPECT_EQ(all.waiting, 0u);
}

TEST_F(RetryTest, CountsReconnectsAndFailures) {
    initiator.connectError = ECONNREFUSED;
    start(200ms);
    EXPECT_NE(run(1), 0);
    // The request may have ended before the first attempt did.
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (segment->stats().failedAttempts == 0 && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    EXPECT_EQ(segment->stats().state, SegmentStats::State::kGone);
    initiator.change([&] { initiator.connectError = 0; });
    EXPECT_TRUE(runUntil(1, 0));
    {
        std::lock_guard lock(mutex);
        descriptor.subsystemNqn = "nqn.2026-01.org.example:second";
    }
    failIo(ENODATA, 1);
    EXPECT_EQ(run(1), ENODATA);
    EXPECT_TRUE(runUntil(1, 0));
    // Over the old connection perhaps, which is there until the new descriptor has been seen.
    const auto soon = std::chrono::steady_clock::now() + kLimit;
    while (segment->stats().connects < 2 && std::chrono::steady_clock::now() < soon) {
        std::this_thread::yield();
    }
    EXPECT_EQ(segment->stats().connects, 2u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
