// SPDX-License-Identifier: Apache-2.0
// Devices that never answer, or that make io_submit block, beside others.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// A device that never answers, beside one that does. The first holds all it can get.
class HungDevice : public PoolFaults, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(HungDevice, DoesNotHoldUpOthers) {
    const uint64_t misalignment = GetParam();
    constexpr size_t kHung = 3;
    constexpr size_t kCount = 1000;
    // Little of everything that devices share.
    aio_->onSetup = [](unsigned entries) { return entries > 64 ? -EAGAIN : 0; };
    std::set<int> hungFds;
    std::mutex mutex;
    aio_->isHeld = [&](const FakeAio::Io& io) {
        std::lock_guard lock(mutex);
        return hungFds.contains(io.fd);
    };
    IoOptions options;
    options.bounceBytes = 32 * (64 << 10);
    options.maxIoBytes = kBlock;
    make(options);
    std::vector<std::unique_ptr<Memory>> memories;
    std::vector<std::shared_ptr<Recorder>> recorders;
    for (size_t i = 0; i < kHung; ++i) {
        memories.push_back(std::make_unique<Memory>(kCount * kBlock, misalignment));
        recorders.push_back(std::make_shared<Recorder>(kCount));
        int fd = -1;
        const auto device = add(file_, recorders.back(), &fd);
        {
            std::lock_guard lock(mutex);
            hungFds.insert(fd);
        }
        readBlocks(device, *recorders.back(), *memories.back(), kCount);
    }
    file_.write(0, pattern(0, kSize, 9));
    auto healthy = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, healthy);
    Memory own(kCount * kBlock, misalignment);
    readBlocks(device, *healthy, own, kCount);
    ASSERT_TRUE(healthy->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(healthy->error(i), 0);
        ASSERT_TRUE(isPattern(own.data() + i * kBlock, i * kBlock, kBlock, 9));
    }
    for (const auto& recorder : recorders) EXPECT_EQ(recorder->endedCount(), 0U);
    aio_->release();
    for (const auto& recorder : recorders) ASSERT_TRUE(recorder->waitForAll());
}

INSTANTIATE_TEST_SUITE_P(DirectAndBounced, HungDevice, ::testing::Values(0, 1));

// Case 40: a device that waits for bounce buffers, all of which a hung one has, is closed at once.
TEST_F(PoolFaults, CloseDoesNotWaitForBounceBuffers) {
    IoOptions options;
    options.bounceBytes = 64 << 10;
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    make(options);
    auto hung = std::make_shared<Recorder>(1);
    auto waiting = std::make_shared<Recorder>(2);
    const auto hungDevice = add(file_, hung);
    const auto device = add(file_, waiting);
    Memory memory(3 * kBlock, 1);
    readBlocks(hungDevice, *hung, memory, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 1 && aio_->resting() == 1; }));
    const size_t waits = aio_->waits();
    readBlocks(device, *waiting, memory, 2);
    // The worker has looked at it and gone to rest.
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() > waits && aio_->resting() == 1; }));
    EXPECT_EQ(waiting->endedCount(), 0U);
    pool_->closeDevice(device);
    ASSERT_TRUE(waiting->waitForAll());
    EXPECT_EQ(waiting->error(0), ECANCELED);
    EXPECT_EQ(hung->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(hung->waitForAll());
}

using BlockingDevice = PoolFaults;

// io_submit blocks on one device: the completions of the others in the same context are reaped, and
// what is submitted for them meanwhile goes on.
TEST_F(BlockingDevice, HoldsUpItselfOnly) {
    std::atomic<int> stuckFd{-1};
    std::atomic<int> inside{0};
    std::atomic<int> mostInside{0};
    aio_->isHeld = [](const FakeAio::Io& io) { return io.offset == 0; };
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        if (asked.front().fd == stuckFd) {
            const int now = ++inside;
            if (now > mostInside) mostInside = now;
            gate_.pass();
            --inside;
        }
        return static_cast<int>(asked.size());
    };
    make();
    TempFile other(kSize);
    file_.write(0, pattern(0, kSize, 10));
    other.write(0, pattern(0, kSize, 11));
    constexpr size_t kCount = 400;
    auto stuck = std::make_shared<Recorder>(kCount);
    auto healthy = std::make_shared<Recorder>(kCount);
    int fd = -1;
    const auto stuckDevice = add(other, stuck, &fd);
    stuckFd = fd;
    int healthyFd = -1;
    const auto device = add(file_, healthy, &healthyFd);
    Memory memory(kCount * kBlock);
    Memory stuckMemory(kCount * kBlock);

    // One I/O of the healthy device is in flight when the worker gets stuck.
    readBlocks(device, *healthy, memory, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 1; }));
    readBlocks(stuckDevice, *stuck, stuckMemory, kCount, 2);
    ASSERT_TRUE(aio_->waitUntil([&] { return inside == 1; }));
    aio_->release(healthyFd);
    ASSERT_TRUE(healthy->waitFor(1));
    std::vector<IoRequest> requests;
    for (size_t i = 1; i < kCount; ++i) {
        requests.push_back(
            {IoOp::kRead, memory.data() + i * kBlock, i * 2 * kBlock, kBlock, healthy->context(i)});
    }
    pool_->submit(device, requests.data(), requests.size());
    ASSERT_TRUE(healthy->waitForAll());
    EXPECT_EQ(stuck->endedCount(), 0U);
    EXPECT_EQ(mostInside, 1) << "a second thread went into the same trap";

    gate_.open();
    aio_->release();
    ASSERT_TRUE(stuck->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(stuck->error(i), 0);
        ASSERT_EQ(healthy->error(i), 0);
        ASSERT_TRUE(isPattern(stuckMemory.data() + i * kBlock, i * 2 * kBlock, kBlock, 11));
        if (i > 0) {
            ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 10));
        }
    }
    EXPECT_TRUE(stuck->eachOnce());
    EXPECT_TRUE(healthy->eachOnce());
}

// The thread that was stuck finds that only a part was taken, and gives the rest back.
TEST_F(BlockingDevice, TakesAPart) {
    for (const int result : {1, 5, -EAGAIN, -EINVAL, -EINTR}) {
        aio_ = std::make_shared<FakeAio>();
        Gate gate;
        std::atomic<bool> first{true};
        std::atomic<bool> blocked{false};
        size_t waits = 0;
        aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
            if (!first.exchange(false)) return static_cast<int>(asked.size());
            waits = aio_->waits();
            blocked = true;
            gate.pass();
            return result;
        };
        make();
        file_.write(0, pattern(0, kSize, 12));
        constexpr size_t kCount = 20;
        auto recorder = std::make_shared<Recorder>(kCount);
        const auto device = add(file_, recorder);
        Memory memory(kCount * kBlock);
        readBlocks(device, *recorder, memory, kCount, 2);
        ASSERT_TRUE(aio_->waitUntil([&] { return blocked.load(); }));
        // Another thread waits in its place, and so does the worker for devices that block.
        ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() >= waits + 2; }));
        gate.open();
        ASSERT_TRUE(recorder->waitForAll());
        for (size_t i = 0; i < kCount; ++i) {
            ASSERT_EQ(recorder->error(i), 0);
            ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 12));
        }
        pool_.reset();
        EXPECT_TRUE(recorder->eachOnce());
    }
}

// Several devices block again and again; whatever thread is stuck where, all requests end.
TEST_F(BlockingDevice, ManyOfThem) {
    std::atomic<uint32_t> calls{0};
    std::mutex mutex;
    std::condition_variable never;
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        if (calls.fetch_add(1) % 4 == 0) {
            // Long enough for the monitor to notice, on an idle machine at least.
            std::unique_lock lock(mutex);
            never.wait_for(lock, std::chrono::milliseconds(30));
        }
        return std::max(1, static_cast<int>(asked.size()) / 2);
    };
    IoOptions options;
    options.queueDepth = 4;
    make(options);
    constexpr size_t kDevices = 6;
    constexpr size_t kCount = 40;
    std::vector<std::unique_ptr<Memory>> memories;
    std::vector<std::shared_ptr<Recorder>> recorders;
    std::vector<std::shared_ptr<IoDevice>> devices;
    for (size_t i = 0; i < kDevices; ++i) {
        memories.push_back(std::make_unique<Memory>(kCount * kBlock));
        recorders.push_back(std::make_shared<Recorder>(kCount));
        devices.push_back(add(file_, recorders.back()));
    }
    for (size_t i = 0; i < kDevices; ++i) {
        readBlocks(devices[i], *recorders[i], *memories[i], kCount, 2);
    }
    for (const auto& recorder : recorders) ASSERT_TRUE(recorder->waitForAll());
    pool_.reset();
    for (const auto& recorder : recorders) EXPECT_TRUE(recorder->eachOnce());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
