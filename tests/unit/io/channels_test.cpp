// SPDX-License-Identifier: Apache-2.0
// Threads beside each other: each has a channel of its own, and is woken by its own requests.
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

using namespace std::chrono_literals;

// Whoever waits in vain waits until the limit of the test is over.
class ChannelsTest : public PoolFaults {
 protected:
    void makePolled(IoOptions options = {}) {
        aio_->onNowait = [](const std::vector<FakeAio::Io>& asked) {
            return static_cast<int>(asked.size());
        };
        make(options);
        pool_->enablePolling();
    }
    static IoRequest readOf(Recorder& recorder, Memory& memory, size_t number) {
        return {IoOp::kRead, memory.data() + number * kBlock, number * 2 * kBlock, kBlock,
                recorder.context(number)};
    }
    void submit(const std::shared_ptr<IoDevice>& device, const IoRequest& request) {
        pool_->submit(device, &request, 1);
    }
};

// A thread that asks for each of its requests has reaped the last one when it begins to wait.
TEST_F(ChannelsTest, WhatAThreadHasReapedItselfEndsItsWait) {
    makePolled();
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(file_, recorder);
    Memory memory(3 * kBlock);
    for (size_t i = 0; i < 3; ++i) {
        submit(device, readOf(*recorder, memory, i));
        while (!recorder->ended(i)) pool_->poll();
        EXPECT_TRUE(pool_->wait(1h));
        EXPECT_FALSE(pool_->wait(0ns));
    }
}

// What a thread has seen of one pool says nothing of another.
TEST_F(ChannelsTest, TwoPoolsOfOneThread) {
    makePolled();
    const auto first = std::move(pool_);
    const auto firstAio = std::exchange(aio_, std::make_shared<FakeAio>());
    auto recorder = std::make_shared<Recorder>(1);
    UniqueFd opened = openFor(*first, file_.path());
    const auto device =
        first->addDevice({std::move(opened), file_.path(), file_.size(), kBlock, recorder}).take();
    makePolled();
    auto others = std::make_shared<Recorder>(1);
    const auto other = add(file_, others);
    Memory memory(kBlock);
    for (int round = 0; round < 20; ++round) {
        auto fresh = std::make_shared<Recorder>(1);
        const IoRequest here{IoOp::kRead, memory.data(), 0, kBlock, recorder->context(0)};
        const IoRequest there{IoOp::kRead, memory.data(), 0, kBlock, others->context(0)};
        const size_t before = recorder->endedCount();
        first->submit(device, &here, 1);
        pool_->submit(other, &there, 1);
        while (others->endedCount() == before) pool_->poll();
        while (recorder->endedCount() == before) first->poll();
        EXPECT_TRUE(first->wait(1h));
        EXPECT_TRUE(pool_->wait(1h));
    }
}

// What NVMe/TCP does to a thread whose target has closed the connection.
class BrokenPipeTest : public ChannelsTest {
 protected:
    BrokenPipeTest() { came = 0; }
    ~BrokenPipeTest() override { signal(SIGPIPE, SIG_DFL); }

    static void ignore() { signal(SIGPIPE, SIG_IGN); }
    static void handle() {
        signal(SIGPIPE, [](int) { ++came; });
    }
    /// A pool of its own to submit to, whose kernel raises the signal.
    void makeRaising() {
        aio_ = std::make_shared<FakeAio>();
        aio_->onNowait = [](const std::vector<FakeAio::Io>& asked) {
            EXPECT_EQ(pthread_kill(pthread_self(), SIGPIPE), 0);
            return static_cast<int>(asked.size());
        };
        make();
        pool_->enablePolling();
        device_ = add(file_, recorder_);
    }
    void readOnce() {
        const size_t before = recorder_->endedCount();
        submit(device_, readOf(*recorder_, memory_, 0));
        while (recorder_->endedCount() == before) pool_->poll();
    }

    static std::atomic<int> came;
    Memory memory_{kBlock};
    std::shared_ptr<Recorder> recorder_ = std::make_shared<Recorder>(1);
    std::shared_ptr<IoDevice> device_;
};
std::atomic<int> BrokenPipeTest::came{0};

// What a thread has found out for one pool is not true for another one, be it in the same place.
TEST_F(BrokenPipeTest, EachPoolFindsOutForItself) {
    const auto useTwo = [this](bool atOneTime) {
        ignore();
        makeRaising();
        readOnce();
        auto first = std::move(pool_);
        const auto firstAio = aio_;
        if (!atOneTime) {
            device_.reset();
            first.reset();
        }
        handle();
        makeRaising();
        readOnce();
        device_.reset();
        pool_.reset();
    };
    // Each on a thread that knows nothing yet.
    for (int round = 0; round < 40; ++round) {
        std::thread(useTwo, round % 2 == 0).join();
        ASSERT_EQ(came, 0) << "in round " << round;
    }
}

// Once in a round of the monitor it is asked what the program does with the signal.
TEST_F(BrokenPipeTest, AProgramMayStopIgnoringIt) {
    ignore();
    makeRaising();
    readOnce();
    handle();
    const auto limit = std::chrono::steady_clock::now() + 60s;
    for (int before = -1; before != came;) {
        ASSERT_LT(std::chrono::steady_clock::now(), limit) << "it comes again and again";
        before = came;
        readOnce();
    }
}

// Each thread sleeps until its own request ends, however many there are.
TEST_F(ChannelsTest, ManyThreadsWaitEachForItsOwn) {
    constexpr size_t kThreads = 40;
    makePolled();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    auto recorder = std::make_shared<Recorder>(kThreads);
    const auto device = add(file_, recorder);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->resting() == 1; }));  // the worker
    Memory memory(kThreads * kBlock);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            submit(device, readOf(*recorder, memory, t));
            while (!recorder->ended(t)) pool_->wait(1h);
        });
    }
    EXPECT_TRUE(aio_->waitUntil([&] { return aio_->resting() == kThreads + 1; }));
    aio_->release();
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_EQ(aio_->wakes(), 0U) << "the kernel wakes them";
}

// Threads that submit and one that waits for all, beside a request that never ends.
TEST_F(ChannelsTest, OneThreadWaitsForWhatOthersSubmit) {
    constexpr size_t kThreads = 4;
    constexpr size_t kEach = 25;
    makePolled();
    auto stuck = std::make_shared<Recorder>(1);
    int held = -1;
    const auto hanging = add(file_, stuck, &held);
    aio_->isHeld = [held](const FakeAio::Io& io) { return io.fd == held; };
    TempFile other(kSize);
    auto recorder = std::make_shared<Recorder>(kThreads * kEach);
    const auto device = add(other, recorder);
    Memory memory((kThreads * kEach + 1) * kBlock);
    const IoRequest never{IoOp::kRead, memory.data() + kThreads * kEach * kBlock, 0, kBlock,
                          stuck->context(0)};
    pool_->submit(hanging, &never, 1);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (size_t i = t * kEach; i < (t + 1) * kEach; ++i) {
                submit(device, readOf(*recorder, memory, i));
                ASSERT_TRUE(recorder->waitFor(1));
            }
        });
    }
    std::thread waiter([&] {
        while (recorder->endedCount() < recorder->size()) pool_->wait(1h);
    });
    for (std::thread& thread : threads) thread.join();
    waiter.join();
    EXPECT_EQ(stuck->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(stuck->waitForAll());
}

// A page of a request's memory that has to be brought in holds up the call, and no other.
TEST_F(ChannelsTest, AThreadThatIsHeldUpHoldsUpNoOther) {
    makePolled();
    std::atomic<bool> inside{false};
    aio_->onNowait = [&](const std::vector<FakeAio::Io>& asked) {
        if (asked.front().offset == 0) {
            inside = true;
            gate_.pass();
        }
        return static_cast<int>(asked.size());
    };
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(file_, recorder);
    Memory memory(2 * kBlock);
    std::thread slow([&] {
        submit(device, readOf(*recorder, memory, 0));
        while (!recorder->ended(0)) pool_->wait(1h);
    });
    ASSERT_TRUE(aio_->waitUntil([&] { return inside.load(); }));
    submit(device, readOf(*recorder, memory, 1));
    while (!recorder->ended(1)) pool_->wait(1h);
    EXPECT_FALSE(recorder->ended(0));
    gate_.open();
    slow.join();
}

// A batch over several files, file after file in turn: one system call, and neighbours are joined.
TEST_F(ChannelsTest, ABatchOverManyFilesIsOneSubmit) {
    constexpr size_t kFiles = 4;
    constexpr size_t kEach = 8;
    makePolled();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    auto recorder = std::make_shared<Recorder>(kFiles * kEach);
    std::vector<std::shared_ptr<IoDevice>> devices;
    for (size_t i = 0; i < kFiles; ++i) devices.push_back(add(file_, recorder));
    file_.write(0, pattern(0, kSize, 31));
    Memory memory(kFiles * kEach * kBlock);
    std::vector<IoItem> items;
    for (size_t i = 0; i < kFiles * kEach; ++i) {
        items.push_back({devices[i % kFiles].get(),
                         {IoOp::kRead, memory.data() + i * kBlock, i / kFiles * kBlock, kBlock,
                          recorder->context(i)}});
    }
    pool_->submit(items.data(), items.size());
    EXPECT_EQ(aio_->submits(), 1U);
    EXPECT_EQ(aio_->held(), kFiles);
    aio_->release();
    while (recorder->endedCount() < recorder->size()) pool_->wait(1h);
    for (size_t i = 0; i < kFiles * kEach; ++i) {
        EXPECT_EQ(recorder->error(i), 0);
        EXPECT_TRUE(isPattern(memory.data() + i * kBlock, i / kFiles * kBlock, kBlock, 31));
    }
}

// A thread that does not come back has its I/O done by workers, from the second request on, and
// comes back whenever it likes.
TEST_F(ChannelsTest, WorkersServeThreadsThatDoNotComeBack) {
    makePolled();
    auto recorder = std::make_shared<Recorder>(4);
    const auto device = add(file_, recorder);
    Memory memory(4 * kBlock);
    submit(device, readOf(*recorder, memory, 0));
    EXPECT_EQ(aio_->resting(), aio_->waits()) << "nobody was woken for the first one";
    ASSERT_TRUE(recorder->waitFor(1));
    const size_t waits = aio_->waits();
    submit(device, readOf(*recorder, memory, 1));
    ASSERT_TRUE(recorder->waitFor(2));
    // The worker had it in its context: it was woken by its end.
    EXPECT_TRUE(aio_->waitUntil([&] { return aio_->waits() > waits; }));
    pool_->poll();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    const size_t before = aio_->waits();
    submit(device, readOf(*recorder, memory, 2));
    ASSERT_EQ(aio_->held(), 1U);
    std::thread releaser([&] {
        EXPECT_TRUE(aio_->waitUntil([&] { return aio_->waits() > before; }));
        aio_->release();
    });
    while (!recorder->ended(2)) pool_->wait(1h);
    releaser.join();
}

// The channels of threads that have ended serve the next ones.
TEST_F(ChannelsTest, ThreadsThatEndLeaveTheirChannels) {
    makePolled();
    constexpr size_t kThreads = 300;
    auto recorder = std::make_shared<Recorder>(kThreads);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    for (size_t i = 0; i < kThreads; ++i) {
        std::thread([&] {
            const IoRequest request{IoOp::kRead, memory.data(), 0, kBlock, recorder->context(i)};
            pool_->submit(device, &request, 1);
            if (i % 3 == 0) return;
            while (!recorder->ended(i)) pool_->wait(1h);
        }).join();
    }
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_LT(aio_->contexts(), 10U);
    EXPECT_TRUE(recorder->eachOnce());
}

// A thread's last objects may still submit when its channel has gone.
TEST_F(ChannelsTest, AThreadSubmitsWhileItEnds) {
    makePolled();
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(file_, recorder);
    Memory memory(2 * kBlock);
    std::thread([&] {
        struct Last {
            ~Last() {
                if (submit) submit();
            }
            std::function<void()> submit;
        };
        thread_local Last last;  // made before the channel: destroyed after it was given back
        last.submit = [&] { submit(device, readOf(*recorder, memory, 1)); };
        submit(device, readOf(*recorder, memory, 0));
    }).join();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_EQ(recorder->error(1), 0);
}

// What must not be held up is submitted by workers.
TEST_F(ChannelsTest, ThreadsMayLeaveItToWorkers) {
    makePolled();
    const auto self = std::this_thread::get_id();
    std::atomic<int> own{0};
    const auto count = [&](const std::vector<FakeAio::Io>& asked) {
        if (std::this_thread::get_id() == self) ++own;
        return static_cast<int>(asked.size());
    };
    aio_->onNowait = aio_->onSubmit = count;
    auto recorder = std::make_shared<Recorder>(20);
    const auto device = add(file_, recorder);
    Memory memory(20 * kBlock);
    for (size_t i = 0; i < 20; ++i) {
        const IoRequest request = readOf(*recorder, memory, i);
        pool_->submit(device, &request, 1, Submitter::kWorkers);
    }
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(own, 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
