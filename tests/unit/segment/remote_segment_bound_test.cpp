// SPDX-License-Identifier: Apache-2.0
// I/O that is with the kernel while its connection is down.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <deque>
#include <thread>

#include "segment_fixture.h"

namespace mooncake::nvmeof_generic {
namespace {

class BoundTest : public RemoteSegmentTest {
 protected:
    void startConnected(std::chrono::milliseconds downLimit = 40ms) {
        start(kLimit, downLimit);
        EXPECT_EQ(run(1), 0);
        connection = initiator.connections.begin()->second.lock();
    }
    void kernelHolds(bool holds) {
        std::lock_guard lock(pool.mutex);
        pool.kernelHolds = holds;
    }
    bool sees(int moreLooks) {
        const int before = connection->looks;
        return eventually([&] { return connection->looks >= before + moreLooks; });
    }
    ~BoundTest() override { connection.reset(); }

    std::shared_ptr<FakeConnection> connection;
};

// The kernel answers when it is told to delete the controller; then a new connection is made.
TEST_F(BoundTest, AConnectionThatStaysDownIsGivenUp) {
    startConnected();
    connection->onGiveUp = [this] {
        initiator.change([&] { initiator.connections.clear(); });  // the next is a new one
        pool.release(EIO);
    };
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    ASSERT_TRUE(sees(3)) << "nothing moves";
    connection->up = false;
    EXPECT_EQ(wait(ended), EIO);
    EXPECT_EQ(connection->givenUp, 1);
    kernelHolds(false);
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(segment->stats().connects, 2u);
}

TEST_F(BoundTest, ASlowDiskIsNoReason) {
    startConnected();
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    ASSERT_TRUE(eventually([&] { return connection->provoked >= 2; })) << "it is asked for";
    EXPECT_EQ(connection->givenUp, 0);
    EXPECT_EQ(ended.times, 0);
    {
        // Nothing else was done about it either: the file is open, and takes more.
        std::lock_guard lock(pool.mutex);
        ASSERT_EQ(pool.devices.size(), 1u);
        EXPECT_FALSE(pool.devices[0]->closed);
    }
    Ended next;
    submit(1, next);
    pool.release(0);
    EXPECT_EQ(wait(ended), 0);
    EXPECT_EQ(wait(next), 0);
    EXPECT_EQ(initiator.opens, 1);
    EXPECT_EQ(initiator.connects, 1);
}

// Each loss counts for itself.
TEST_F(BoundTest, AConnectionThatComesBackInTimeIsKept) {
    startConnected(1s);
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    for (int i = 0; i < 3; ++i) {
        connection->up = false;
        ASSERT_TRUE(sees(1));
        connection->up = true;
        ASSERT_TRUE(sees(1));
    }
    EXPECT_EQ(connection->givenUp, 0);
    pool.release(0);
    EXPECT_EQ(wait(ended), 0);
}

// Its settings are those of who made it.
TEST_F(BoundTest, AForeignConnectionIsLeftAlone) {
    startConnected();
    connection->ours = false;
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    ASSERT_TRUE(sees(30));
    connection->up = false;
    ASSERT_TRUE(sees(30));
    EXPECT_EQ(connection->givenUp, 0);
    EXPECT_EQ(connection->provoked, 0);
    pool.release(EIO);
    EXPECT_EQ(wait(ended), EIO);
}

// What the kernel has may come back late: the next connection is made meanwhile. But a namespace is
// not opened a second time before that: a write of before could land after one that came later.
TEST_F(BoundTest, ANewConnectionIsMadeAtOnceAndUsedWhenTheLastOneHasGivenAllBack) {
    startConnected();
    std::atomic<bool> gone{false};
    connection->onGiveUp = [&] {
        initiator.change([&] { initiator.connections.clear(); });
        gone = true;
    };
    kernelHolds(true);
    Ended ended, next;
    submit(1, ended, 0, IoOp::kWrite);
    connection->up = false;
    ASSERT_TRUE(eventually([&] { return gone.load(); }));
    EXPECT_TRUE(initiator.waitFor([&] { return !initiator.connections.empty(); }))
        << "connected again";
    kernelHolds(false);
    submit(1, next, 0, IoOp::kWrite);
    EXPECT_EQ(run(2), 0) << "another file of the segment is in use";
    {
        std::lock_guard lock(mutex);
        EXPECT_EQ(ended.times, 0);
        EXPECT_EQ(next.times, 0);
    }
    EXPECT_EQ(initiator.opens, 2) << "file 1 once, file 2 once";
    pool.release(EIO);
    EXPECT_EQ(wait(ended), EIO);
    EXPECT_EQ(wait(next), 0);
    EXPECT_EQ(initiator.opens, 3);
}

// Here the test alone says when the segment looks.
class LookTest : public BoundTest {
 protected:
    void startConnected(std::chrono::milliseconds downLimit) {
        start(kLimit, downLimit);
        keepHouseByHand();
        EXPECT_EQ(run(1), 0);
        connection = initiator.connections.begin()->second.lock();
        kernelHolds(true);
        submit(1, held.emplace_back());
        look();
    }
    // Whether the segment's thread looked at the connection.
    bool look() {
        const int before = connection->looks;
        segment->expire(next());
        EXPECT_EQ(run(77), ENOENT);  // the thread has come so far
        return connection->looks > before;
    }
    // When it is to be called again.
    std::chrono::steady_clock::time_point next() {
        now = std::max(now, std::chrono::steady_clock::now()) + 250ms;
        return now;
    }
    // Something ends, and more is submitted.
    void move() {
        pool.release(0);
        submit(1, held.emplace_back());
    }
    ~LookTest() override {
        pool.release(0);
        end();
    }

    std::deque<Ended> held;
    std::chrono::steady_clock::time_point now{};
};

TEST_F(LookTest, NobodyLooksWhileIoGetsOn) {
    startConnected(kLimit);
    for (int i = 0; i < 30; ++i) {
        move();
        EXPECT_FALSE(look());
    }
    EXPECT_TRUE(look()) << "it does not";
    EXPECT_EQ(connection->provoked, 0);
}

TEST_F(LookTest, TheTargetIsAskedWhenIoHasStoodStillForTwoLooks) {
    startConnected(kLimit);
    for (int i = 0; i < 5; ++i) {
        EXPECT_TRUE(look());
        move();
        EXPECT_FALSE(look());
    }
    EXPECT_EQ(connection->provoked, 0);
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->provoked, 0);
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->provoked, 1);
}

// Of one queue of several.
TEST_F(LookTest, TheQueuesAreAskedWhenOneRequestStandsStillWhileOthersEnd) {
    startConnected(kLimit);
    pool.devices.back()->oldest = 1999ms;
    move();
    EXPECT_FALSE(look());
    pool.devices.back()->oldest = 2s;
    move();
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->queuesAsked, 1);
    EXPECT_EQ(connection->givenUp, 0) << "it answers: a slow disk";
}

// Only what has no end fails.
class LiveTest : public LookTest {
 protected:
    void startWithOneQueued() {
        ioLimit = 10s;
        startConnected(kLimit);
        {
            std::lock_guard lock(pool.mutex);
            pool.holds = true;
        }
        submit(1, queued);
        connection->onGiveUp = [this] {
            initiator.change([&] { initiator.connections.clear(); });
            {
                std::lock_guard lock(pool.mutex);
                pool.holds = pool.kernelHolds = false;
            }
            pool.release(EIO);
        };
    }
    void expectGivenUp() {
        EXPECT_EQ(connection->givenUp, 1);
        EXPECT_EQ(wait(held.back()), EIO);
        EXPECT_EQ(wait(queued), 0) << "over the next connection";
    }
    Ended queued;
};

TEST_F(LiveTest, AConnectionIsGivenUpOnWhichIoHasNoEnd) {
    startWithOneQueued();
    pool.devices.back()->oldest = 9999ms;
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->givenUp, 0);
    pool.devices.back()->oldest = 10s;
    EXPECT_TRUE(look());
    expectGivenUp();
}

TEST_F(LiveTest, AConnectionIsGivenUpThatLosesAnswersAgainAndAgain) {
    startWithOneQueued();
    connection->answers = false;
    while (connection->provoked < 2) {
        ASSERT_EQ(connection->givenUp, 0);
        ASSERT_TRUE(look());
    }
    expectGivenUp();
}

TEST_F(LiveTest, OfSomebodyElseItIsLeftAlone) {
    startWithOneQueued();
    connection->ours = false;
    pool.devices.back()->oldest = 10s;
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->givenUp, 0);
    pool.letGo();
}

TEST_F(LookTest, IoThatGotOnEndsTheOutage) {
    startConnected(50ms);
    connection->up = false;
    EXPECT_TRUE(look());
    const auto seen = std::chrono::steady_clock::now();
    move();
    EXPECT_FALSE(look());
    ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > seen + 60ms; }));
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->givenUp, 0) << "another outage, and it has only begun";
}

// Once for all that the kernel has, and again when there is something after a pause.
TEST_F(LookTest, AsksToBeCalledWhenTheKernelHasSomething) {
    startConnected(kLimit);
    pool.release(0);
    EXPECT_EQ(segment->expire(next()), std::chrono::steady_clock::time_point::max());
    const auto asked = [&] {
        std::lock_guard lock(mutex);
        return expiries.size();
    };
    const size_t before = asked();
    submit(1, held.emplace_back());
    EXPECT_EQ(asked(), before + 1);
    submit(1, held.emplace_back());
    EXPECT_EQ(asked(), before + 1);
}

// What is due elsewhere, perhaps in another segment, has nobody look before the time.
TEST_F(LookTest, CallsBeforeTheTimeCountNothing) {
    startConnected(kLimit);
    EXPECT_TRUE(look());
    const int looks = connection->looks;
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(segment->expire(now + i * 2ms), now + 250ms) << i;
        EXPECT_EQ(run(77), ENOENT);
    }
    EXPECT_EQ(connection->looks, looks);
    EXPECT_EQ(connection->provoked, 0);
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->provoked, 1);
}

// With nothing ended on either connection.
TEST_F(LookTest, EachConnectionHasItsOwnTime) {
    constexpr auto kDown = 50ms;
    start(kLimit, kDown);
    keepHouseByHand();
    kernelHolds(true);
    submit(1, held.emplace_back());
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.opens == 1; }));
    EXPECT_EQ(run(77), ENOENT);  // the segment's thread has submitted it
    connection = initiator.connections.begin()->second.lock();
    connection->up = false;
    EXPECT_TRUE(look());
    const auto seen = std::chrono::steady_clock::now();
    ASSERT_TRUE(eventually([&] { return std::chrono::steady_clock::now() > seen + kDown; }));
    connection->onGiveUp = [this] { initiator.change([&] { initiator.connections.clear(); }); };
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->givenUp, 1);
    const auto first = connection;
    pool.release(EIO);
    submit(1, held.emplace_back());
    ASSERT_TRUE(initiator.waitFor([&] { return initiator.opens == 2; }));
    EXPECT_EQ(run(77), ENOENT);
    connection = initiator.connections.begin()->second.lock();
    ASSERT_NE(connection, first);
    connection->up = false;
    EXPECT_TRUE(look());
    EXPECT_EQ(connection->givenUp, 0);
}

// Nothing wakes up for what is not there.
TEST_F(BoundTest, LooksOnlyWhileTheKernelHasSomething) {
    startConnected();
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    ASSERT_TRUE(sees(2));
    pool.release(0);
    EXPECT_EQ(wait(ended), 0);
    // Once more, since it ended; then no more.
    ASSERT_TRUE(eventually([&] {
        return segment->expire(std::chrono::steady_clock::now()) ==
               std::chrono::steady_clock::time_point::max();
    }));
    const int looks = connection->looks;
    EXPECT_EQ(segment->expire(std::chrono::steady_clock::now()),
              std::chrono::steady_clock::time_point::max());
    EXPECT_EQ(connection->looks, looks);
    // And again when it has.
    Ended again;
    submit(1, again);
    ASSERT_TRUE(sees(2));
    pool.release(0);
    EXPECT_EQ(wait(again), 0);
}

// What was queued behind it is sent over the next connection.
TEST_F(BoundTest, WhatTheKernelDoesNotHaveIsSavedFromADeadConnection) {
    startConnected();
    connection->onGiveUp = [this] {
        initiator.change([&] { initiator.connections.clear(); });
        {
            std::lock_guard lock(pool.mutex);
            pool.holds = pool.kernelHolds = false;
        }
        pool.release(EIO);
    };
    kernelHolds(true);
    Ended inKernel, queued;
    submit(1, inKernel, 0, IoOp::kWrite);
    {
        std::lock_guard lock(pool.mutex);
        pool.holds = true;
    }
    submit(1, queued, 0, IoOp::kWrite);
    wasSubmittedAt = std::chrono::steady_clock::now();
    connection->up = false;
    EXPECT_EQ(wait(inKernel), EIO);
    EXPECT_EQ(wait(queued), 0);
}

// While the kernel tries to reconnect it cannot delete the controller, and it ends the I/O itself
// when its time is up.
TEST_F(BoundTest, AConnectionThatIsBeingRestoredIsGivenUpWhenTheKernelHasEndedItsIo) {
    startConnected(1200ms);
    std::atomic<bool> releasedFirst{false}, released{false};
    connection->onGiveUp = [&] {
        releasedFirst = released.load();
        initiator.change([&] { initiator.connections.clear(); });
        pool.release(EIO);  // for a test that fails
    };
    kernelHolds(true);
    Ended inKernel, queued;
    submit(1, inKernel, 0, IoOp::kWrite);
    {
        std::lock_guard lock(pool.mutex);
        pool.holds = true;
    }
    submit(1, queued, 0, IoOp::kWrite);
    wasSubmittedAt = std::chrono::steady_clock::now();
    connection->reconnecting = true;
    connection->up = false;
    ASSERT_TRUE(eventually([&] { return pool.held() == 0; })) << "taken back before";
    {
        std::lock_guard lock(pool.mutex);
        pool.holds = pool.kernelHolds = false;
    }
    released = true;
    pool.release(EIO);
    EXPECT_EQ(wait(inKernel), EIO);
    EXPECT_EQ(wait(queued), 0);
    EXPECT_EQ(connection->givenUp, 1);
    EXPECT_TRUE(releasedFirst);
}

// One that came back at the last moment is used on.
TEST_F(BoundTest, AConnectionThatIsRestoredAtLastIsKept) {
    startConnected(600ms);
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    connection->reconnecting = true;
    connection->up = false;
    ASSERT_TRUE(eventually([&] {
        std::lock_guard lock(pool.mutex);
        return pool.devices.back()->closed;
    }));
    connection->up = true;
    kernelHolds(false);
    pool.release(0);
    EXPECT_EQ(wait(ended), 0);
    EXPECT_EQ(run(1), 0);
    EXPECT_EQ(connection->givenUp, 0);
    EXPECT_EQ(segment->stats().connects, 1u);
}

// A device is closed when a request finds its namespace gone; another one may still be in flight.
TEST_F(BoundTest, IoOfAClosedDeviceIsWatched) {
    startConnected();
    connection->onGiveUp = [this] { pool.release(EIO); };
    kernelHolds(true);
    Ended inFlight;
    submit(1, inFlight);
    kernelHolds(false);
    {
        std::lock_guard lock(pool.mutex);
        pool.errors["file 1"] = ENODATA;
        pool.errorsLeft = 1;
    }
    initiator.change([&] { initiator.removed.insert(1); });
    EXPECT_EQ(run(1), ENODATA);
    connection->up = false;
    EXPECT_EQ(wait(inFlight), EIO);
    EXPECT_EQ(connection->givenUp, 1);
}

// Case 40: whoever leaves does not wait for a connection that might come back.
TEST_F(BoundTest, StoppingGivesADeadConnectionUpAtOnce) {
    startConnected(1h);
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    connection->up = false;
    segment->beginStop();
    EXPECT_TRUE(eventually([&] { return connection->givenUp == 1; }));
    pool.release(EIO);
    EXPECT_EQ(wait(ended), EIO);
    segment->stop();
}

TEST_F(BoundTest, StoppingWaitsForASlowDisk) {
    startConnected();
    kernelHolds(true);
    Ended ended;
    submit(1, ended);
    std::atomic<bool> stopped{false};
    std::thread stopping([&] {
        segment->stop();
        stopped = true;
    });
    EXPECT_TRUE(eventually([&] { return connection->provoked >= 1; })) << "it is asked for";
    EXPECT_FALSE(stopped);
    pool.release(0);
    stopping.join();
    EXPECT_EQ(wait(ended), 0);
    EXPECT_EQ(connection->givenUp, 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
