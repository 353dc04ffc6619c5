// SPDX-License-Identifier: Apache-2.0
// I/O that the threads of the program submit, and reap.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

using namespace std::chrono_literals;

class CallersTest : public PoolFaults {
 protected:
    /// A pool of which the program polls.
    void makePolled(IoOptions options = {}) {
        make(options);
        pool_->enablePolling();
    }
    void takeNowait() {
        aio_->onNowait = [](const std::vector<FakeAio::Io>& asked) {
            return static_cast<int>(asked.size());
        };
    }
    /// It looks around every 10 ms until it goes to sleep for good.
    static void waitForMonitorToSleep() {
        const auto limit = std::chrono::steady_clock::now() + 60s;
        std::string before;
        for (std::string now = switchesOfMonitor(); now != before && !now.empty();
             now = switchesOfMonitor()) {
            ASSERT_LT(std::chrono::steady_clock::now(), limit);
            before = now;
            std::this_thread::sleep_for(200ms);
        }
        ASSERT_FALSE(before.empty()) << "there is no monitor";
    }
    static std::string switchesOfMonitor() {
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            std::string name;
            std::getline(std::ifstream(task.path() / "comm"), name);
            if (name != "nvmeof-io-mon") continue;
            std::ifstream status(task.path() / "status");
            for (std::string line; std::getline(status, line);) {
                if (line.starts_with("voluntary_ctxt_switches")) return line;
            }
        }
        return "";
    }
    void pollUntilEnded(Recorder& recorder, size_t count) {
        const auto limit = std::chrono::steady_clock::now() + 60s;
        while (recorder.endedCount() < count && std::chrono::steady_clock::now() < limit) {
            pool_->poll();
        }
        ASSERT_EQ(recorder.endedCount(), count);
    }
};

// A small submit wakes nobody: the caller hands it to the kernel without waiting.
TEST_F(CallersTest, CallerSubmitsWhatIsSmall) {
    std::atomic<int> bySelf{0};
    const auto self = std::this_thread::get_id();
    aio_->onNowait = [&](const std::vector<FakeAio::Io>& asked) {
        if (std::this_thread::get_id() == self) ++bySelf;
        return static_cast<int>(asked.size());
    };
    make();
    file_.write(0, pattern(0, kSize, 13));
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(file_, recorder);
    // The first worker has come to its place.
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() == 1; }));
    Memory memory(3 * kBlock);
    readBlocks(device, *recorder, memory, 3, 2);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(bySelf, 1);
    EXPECT_EQ(aio_->wakes(), 0U);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 13));
    }
}

// Whoever submits, and also what the kernel does not take.
TEST_F(CallersTest, SubmitsAreCounted) {
    takeNowait();
    std::atomic<int> refusals{3};
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        if (refusals.fetch_sub(1) > 0) return -EAGAIN;
        return std::min(5, static_cast<int>(asked.size()));
    };
    IoOptions options;
    options.queueDepth = 16;
    makePolled(options);
    constexpr size_t kCount = 40;
    auto recorder = std::make_shared<Recorder>(3 + kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, 3, 2);
    ASSERT_TRUE(recorder->waitFor(3));
    SubmitCounts counts = pool_->submitCounts();
    EXPECT_EQ(counts.calls, 1U);
    EXPECT_EQ(counts.ios, 3U);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        requests.push_back({IoOp::kRead, memory.data() + i * kBlock, i * 2 * kBlock, kBlock,
                            recorder->context(3 + i)});
    }
    pool_->submit(device, requests.data(), kCount);
    ASSERT_TRUE(recorder->waitForAll());
    // The last call may not have returned when its I/O ends.
    ASSERT_TRUE(aio_->waitUntil([&] {
        counts = pool_->submitCounts();
        return counts.calls == aio_->submits() && counts.ios == 3 + kCount;
    })) << counts.calls
        << " calls, " << counts.ios << " I/Os";
    EXPECT_GE(counts.calls, 1 + 3 + kCount / 5);
}

// The kernel's NVMe/TCP driver raises SIGPIPE in the thread that submits when the target has closed
// the connection. That must not end the program of the caller.
TEST_F(CallersTest, ACallerThatSubmitsGetsNoSigpipe) {
    std::atomic<int> raised{0};
    aio_->onNowait = [&](const std::vector<FakeAio::Io>& asked) {
        EXPECT_EQ(pthread_kill(pthread_self(), SIGPIPE), 0);
        ++raised;
        return static_cast<int>(asked.size());
    };
    make();
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() == 1; }));
    Memory memory(kBlock);
    readBlocks(device, *recorder, memory, 1, 1);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(raised, 1);
    sigset_t state;
    ASSERT_EQ(sigpending(&state), 0);
    EXPECT_EQ(sigismember(&state, SIGPIPE), 0);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, nullptr, &state), 0);
    EXPECT_EQ(sigismember(&state, SIGPIPE), 0) << "the caller's mask is as it was";
}

// What the kernel does not take leaves its place in the caller's context.
TEST_F(CallersTest, RefusedSubmitsDoNotFillTheContext) {
    aio_->onSetup = [](unsigned entries) { return entries > 8 ? -EAGAIN : 0; };
    constexpr int kRefusals = 10;
    std::atomic<int> asked{0};
    aio_->onNowait = [&](const std::vector<FakeAio::Io>& ios) {
        return ++asked <= kRefusals ? -EAGAIN : static_cast<int>(ios.size());
    };
    makePolled();
    auto recorder = std::make_shared<Recorder>(kRefusals + 1);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    for (size_t i = 0; i <= kRefusals; ++i) {
        const IoRequest request{IoOp::kRead, memory.data(), 0, kBlock, recorder->context(i)};
        pool_->submit(device, &request, 1);
        pollUntilEnded(*recorder, i + 1);
    }
    EXPECT_EQ(asked, kRefusals + 1) << "the caller submits again as soon as that works";
}

// Where the caller would have to wait, a worker does.
class WouldWait : public PoolFaults, public ::testing::WithParamInterface<std::tuple<int, bool>> {};

TEST_P(WouldWait, AWorkerDoesIt) {
    const auto [error, asEvent] = GetParam();
    if (asEvent) {
        aio_->onNowait = [](const std::vector<FakeAio::Io>& asked) {
            return static_cast<int>(asked.size());
        };
        aio_->onComplete = [error = error](const FakeAio::Io& io) -> std::optional<int64_t> {
            if ((io.flags & RWF_NOWAIT) != 0) return -error;
            return std::nullopt;
        };
    } else {
        aio_->onNowait = [error = error, calls = std::make_shared<std::atomic<int>>(0)](
                             const std::vector<FakeAio::Io>&) {
            return ++*calls % 2 == 0 ? 1 : -error;
        };
    }
    make();
    file_.write(0, pattern(0, kSize, 14));
    constexpr size_t kCount = 120;
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    for (size_t i = 0; i < kCount; ++i) {
        const IoRequest request{IoOp::kRead, memory.data() + i * kBlock, i * kBlock, kBlock,
                                recorder->context(i)};
        pool_->submit(device, &request, 1);
        if (i % 5 == 0) {
            ASSERT_TRUE(recorder->waitFor(i + 1));
        }
    }
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recorder->error(i), 0);
        ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * kBlock, kBlock, 14));
    }
    pool_.reset();
    EXPECT_TRUE(recorder->eachOnce());
}

INSTANTIATE_TEST_SUITE_P(All, WouldWait,
                         ::testing::Combine(::testing::Values(EAGAIN, EOPNOTSUPP, EINVAL),
                                            ::testing::Values(false)));
INSTANTIATE_TEST_SUITE_P(AsEvent, WouldWait,
                         ::testing::Combine(::testing::Values(EAGAIN, EOPNOTSUPP),
                                            ::testing::Values(true)));

// A program that polls has no worker woken, neither for the submit nor for its end.
TEST_F(CallersTest, PolledIoWakesNobody) {
    takeNowait();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    makePolled();
    file_.write(0, pattern(0, kSize, 21));
    constexpr size_t kCount = 40;
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() == 1; }));
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    EXPECT_EQ(aio_->held(), kCount);
    EXPECT_FALSE(pool_->poll());
    aio_->release();
    pollUntilEnded(*recorder, kCount);
    EXPECT_EQ(aio_->wakes(), 0U);
    EXPECT_EQ(aio_->waits(), 1U) << "the worker sleeps as before";
    for (size_t i = 0; i < kCount; ++i) {
        EXPECT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 21));
    }
}

// What the program promised and does not do is done for it.
TEST_F(CallersTest, WhatNobodyPollsEndsAllTheSame) {
    takeNowait();
    makePolled();
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(file_, recorder);
    Memory memory(3 * kBlock);
    for (size_t ended = 0; ended < 3; ++ended) {
        if (ended == 2) waitForMonitorToSleep();
        const IoRequest request{IoOp::kRead, memory.data(), 0, kBlock, recorder->context(ended)};
        pool_->submit(device, &request, 1);
        ASSERT_TRUE(recorder->waitFor(ended + 1));
    }
}

TEST_F(CallersTest, WaitReturnsWithTheCompletion) {
    takeNowait();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    makePolled();
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() == 1; }));
    Memory memory(kBlock);
    readBlocks(device, *recorder, memory, 1);
    std::thread releaser([&] {
        EXPECT_TRUE(aio_->waitUntil([&] { return aio_->resting() == 2; }));
        aio_->release();
    });
    // The limit is beyond that of the test.
    while (recorder->endedCount() == 0) pool_->wait(1h);
    releaser.join();
    EXPECT_EQ(recorder->error(0), 0);
}

// Neither where there is nothing to wait for, nor for longer than is said.
TEST_F(CallersTest, WaitHasAnEnd) {
    takeNowait();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    makePolled();
    pool_->wait(1ms);
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    readBlocks(device, *recorder, memory, 1);
    pool_->wait(1ms);  // which does not know what this thread has seen of an earlier pool
    EXPECT_FALSE(pool_->wait(1ms));
    EXPECT_FALSE(pool_->wait(0ns));
    EXPECT_EQ(recorder->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
}

// Whoever has asked for one transfer after the other learns whether to begin anew.
TEST_F(CallersTest, WaitTellsOfWhatEndedSinceTheLast) {
    takeNowait();
    makePolled();
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(file_, recorder);
    aio_->isHeld = [](const FakeAio::Io& io) { return io.offset > 0; };
    Memory memory(3 * kBlock);
    readBlocks(device, *recorder, memory, 3, 2);
    while (recorder->endedCount() == 0) pool_->poll();
    EXPECT_TRUE(pool_->wait(0ns));
    EXPECT_FALSE(pool_->wait(0ns));
    aio_->release();
    while (!pool_->wait(1h)) {
    }
    EXPECT_GT(recorder->endedCount(), 1U);
    ASSERT_TRUE(recorder->waitForAll());
}

// What another thread reaped between a question and the wait is not waited for.
TEST_F(CallersTest, WhatOthersReapedEndsTheWait) {
    takeNowait();
    makePolled();
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(file_, recorder);
    aio_->isHeld = [](const FakeAio::Io& io) { return io.offset > 0; };
    Memory memory(2 * kBlock);
    pool_->poll();
    readBlocks(device, *recorder, memory, 2, 2);
    // The monitor, since nobody polls. The other one stays in flight.
    ASSERT_TRUE(recorder->waitFor(1));
    EXPECT_TRUE(pool_->wait(1h));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
}

// Also where there is nothing left to wait for.
TEST_F(CallersTest, WhatOthersReapedToTheLastEndsTheWait) {
    takeNowait();
    makePolled();
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    pool_->wait(0ns);
    pool_->wait(0ns);
    readBlocks(device, *recorder, memory, 1);
    ASSERT_TRUE(recorder->waitFor(1));  // the monitor, since nobody polls
    pool_->wait(1h);
}

// What a device cannot take at once is for the workers, who go on while the program does not look.
TEST_F(CallersTest, WhatIsTooMuchIsForWorkers) {
    takeNowait();
    IoOptions options;
    options.queueDepth = 4;
    makePolled(options);
    file_.write(0, pattern(0, kSize, 22));
    constexpr size_t kCount = 100;
    auto recorder = std::make_shared<Recorder>(kCount);
    int fd = -1;
    const auto device = add(file_, recorder, &fd);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(aio_->mostInFlight(fd), 4U);
    for (size_t i = 0; i < kCount; ++i) {
        EXPECT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 22));
    }
}

// Who waits for what workers do is told when they have done it.
TEST_F(CallersTest, WaitReturnsWithTheEndOfWorkersIo) {
    takeNowait();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    IoOptions options;
    options.queueDepth = 4;
    makePolled(options);
    constexpr size_t kCount = 40;
    auto deep = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, deep);
    Memory memory(kCount * kBlock);
    readBlocks(device, *deep, memory, kCount, 2);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 4; }));
    std::thread releaser([&] { aio_->release(); });
    while (deep->endedCount() < kCount) pool_->wait(1h);
    releaser.join();
}

// The same for one that has I/O of its own in flight, which does not end.
TEST_F(CallersTest, OwnIoDoesNotHideWorkersIo) {
    takeNowait();
    IoOptions options;
    options.queueDepth = 4;
    makePolled(options);
    auto own = std::make_shared<Recorder>(1);
    int held = -1;
    const auto hanging = add(file_, own, &held);
    aio_->isHeld = [held](const FakeAio::Io& io) { return io.fd == held; };
    TempFile other(kSize);
    constexpr size_t kCount = 40;
    auto deep = std::make_shared<Recorder>(kCount);
    const auto device = add(other, deep);
    Memory memory((kCount + 1) * kBlock);
    const IoRequest request{IoOp::kRead, memory.data() + kCount * kBlock, 0, kBlock,
                            own->context(0)};
    pool_->submit(hanging, &request, 1);
    ASSERT_EQ(aio_->held(), 1U);
    readBlocks(device, *deep, memory, kCount, 2);
    while (deep->endedCount() < kCount) pool_->wait(1h);
    EXPECT_EQ(own->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(own->waitForAll());
}

// A thread that submits and leaves has its I/O reaped by whoever polls.
TEST_F(CallersTest, OthersIoIsReapedByWhoPolls) {
    class Noter : public IoListener {
     public:
        void onIoDone(void*, int error, uint64_t) noexcept override {
            error_ = error;
            thread_ = std::this_thread::get_id();
            ++ended_;
        }
        std::atomic<int> ended_{0};
        std::atomic<int> error_{0};
        std::atomic<std::thread::id> thread_;
    };
    takeNowait();
    makePolled();
    auto noter = std::make_shared<Noter>();
    UniqueFd opened = openFor(*pool_, file_.path());
    auto device = pool_->addDevice({std::move(opened), file_.path(), file_.size(), kBlock, noter});
    ASSERT_TRUE(device.ok());
    Memory memory(kBlock);
    int mine = 0;
    // Now and then the monitor comes first.
    for (int round = 1; round <= 50; ++round) {
        std::thread([&] {
            const IoRequest request{IoOp::kRead, memory.data(), 0, kBlock, nullptr};
            pool_->submit(device.value(), &request, 1);
        }).join();
        while (noter->ended_ < round) pool_->poll();
        if (noter->thread_.load() == std::this_thread::get_id()) ++mine;
    }
    EXPECT_GT(mine, 10);
    EXPECT_EQ(noter->error_, 0);
}

// Case 40: a device is closed, and the pool destroyed, with a caller's I/O in flight.
TEST_F(CallersTest, CloseDrainsCallersIo) {
    takeNowait();
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    makePolled();
    auto recorder = std::make_shared<Recorder>(2);
    auto device = add(file_, recorder);
    Memory memory(2 * kBlock);
    readBlocks(device, *recorder, memory, 2, 2);
    ASSERT_EQ(aio_->held(), 2U);
    pool_->closeDevice(device);
    device.reset();
    EXPECT_EQ(recorder->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
    pool_.reset();
    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_EQ(recorder.use_count(), 1);
    EXPECT_EQ(aio_->contexts(), 0U);
}

// Case 38: without a context of their own, workers submit for them.
TEST_F(CallersTest, WorkersServeWhereNoContextIsLeft) {
    takeNowait();
    std::atomic<int> setups{0};
    aio_->onSetup = [&](unsigned) { return setups++ == 0 ? 0 : -EAGAIN; };
    makePolled();
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    readBlocks(device, *recorder, memory, 1);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
}

// Case 44: many threads, more than there are places, submit, poll and wait on a real kernel.
TEST(CallersThreads, SubmitPollAndWait) {
    constexpr uint64_t kSize = 4 << 20;
    constexpr size_t kThreads = 20;
    constexpr size_t kRounds = 60;
    IoOptions options;
    options.queueDepth = 32;
    auto made = IoPool::create(options);
    ASSERT_TRUE(made.ok());
    const auto pool = made.take();
    pool->enablePolling();
    TempFile file(kSize);
    file.write(0, pattern(0, kSize, 23));
    std::atomic<size_t> failures{0};
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            for (size_t round = 0; round < kRounds; ++round) {
                const size_t count = 1 + random() % 40;
                auto recorder = std::make_shared<Recorder>(count);
                const auto device = addFile(*pool, file, recorder);
                Memory memory(count * kBlock);
                std::vector<uint64_t> offsets;
                std::vector<IoRequest> requests;
                for (size_t i = 0; i < count; ++i) {
                    offsets.push_back(random() % (kSize / kBlock) * kBlock);
                    requests.push_back({IoOp::kRead, memory.data() + i * kBlock, offsets[i], kBlock,
                                        recorder->context(i)});
                }
                pool->submit(device, requests.data(), count);
                while (recorder->endedCount() < count) {
                    random() % 2 == 0 ? pool->poll() : pool->wait(10ms);
                }
                for (size_t i = 0; i < count; ++i) {
                    if (recorder->error(i) != 0 ||
                        !isPattern(memory.data() + i * kBlock, offsets[i], kBlock, 23)) {
                        ++failures;
                    }
                }
                pool->closeDevice(device);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, 0U);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
