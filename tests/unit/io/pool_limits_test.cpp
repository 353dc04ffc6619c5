// SPDX-License-Identifier: Apache-2.0
// How much is in flight, and what of the kernel's resources it takes.
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

using PoolLimits = PoolFaults;

TEST_F(PoolLimits, QueueDepthIsKept) {
    constexpr size_t kCount = 500;
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    IoOptions options;
    options.queueDepth = 13;
    make(options);
    auto recorder = std::make_shared<Recorder>(kCount);
    int fd = -1;
    const auto device = add(file_, recorder, &fd);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 13; }));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(aio_->mostInFlight(fd), 13U);
}

// Seven joined neighbours and one large request: the whole queue is used.
TEST_F(PoolLimits, OneLargeRequestFillsTheQueue) {
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    IoOptions options;
    options.queueDepth = 32;
    options.maxIoBytes = 64 << 10;
    make(options);
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    Memory memory(kSize);
    const IoRequest request{IoOp::kRead, memory.data(), 0, kSize, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 32; }));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_EQ(recorder->bytes(0), kSize);
}

// Case 37: a kernel that is short of something for a while is asked again, however often.
TEST_F(PoolLimits, RefusalsAreNoErrorsHoweverMany) {
    for (const int refusal : {-EINTR, -EAGAIN}) {
        make();
        std::atomic<int> left{18};
        aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
            return left-- > 0 ? refusal : static_cast<int>(asked.size());
        };
        auto recorder = std::make_shared<Recorder>(1);
        const auto device = add(file_, recorder);
        Memory memory(kBlock);
        readBlocks(device, *recorder, memory, 1);
        ASSERT_TRUE(recorder->waitForAll());
        EXPECT_EQ(recorder->error(0), 0) << refusal;
        pool_.reset();
        aio_ = std::make_shared<FakeAio>();
    }
}

// Case 38: fewer resources are used...
TEST_F(PoolLimits, SmallerContextWhenTheSystemIsShort) {
    constexpr size_t kCount = 300;
    file_.write(0, pattern(0, kSize, 8));
    for (const int error : {EAGAIN, ENOMEM}) {
        aio_->onSetup = [error](unsigned entries) { return entries > 20 ? -error : 0; };
        make();
        auto recorder = std::make_shared<Recorder>(kCount);
        const auto device = add(file_, recorder);
        Memory memory(kCount * kBlock);
        readBlocks(device, *recorder, memory, kCount, 2);
        ASSERT_TRUE(recorder->waitForAll());
        for (size_t i = 0; i < kCount; ++i) {
            ASSERT_EQ(recorder->error(i), 0);
            ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 8));
        }
        pool_.reset();
        aio_ = std::make_shared<FakeAio>();
    }
}

// A full context can still wake its worker.
TEST_F(PoolLimits, AContextKeepsAPlaceForWaking) {
    aio_->onSetup = [](unsigned entries) { return entries > 8 ? -EAGAIN : 0; };
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    make();
    constexpr size_t kDevices = 8;
    constexpr size_t kCount = 20;
    std::vector<std::unique_ptr<Memory>> memories;
    std::vector<std::shared_ptr<Recorder>> recorders;
    std::vector<std::shared_ptr<IoDevice>> devices;
    // Each leaves less to the next, until nothing is left.
    for (size_t i = 0; i < kDevices; ++i) {
        memories.push_back(std::make_unique<Memory>(kCount * kBlock));
        recorders.push_back(std::make_shared<Recorder>(kCount));
        devices.push_back(add(file_, recorders.back()));
        const size_t waits = aio_->waits();
        readBlocks(devices.back(), *recorders.back(), *memories.back(), kCount, 2);
        ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() > waits && aio_->resting() == 1; }));
    }
    EXPECT_EQ(aio_->held(), 7U);
    EXPECT_EQ(aio_->refusedWakes(), 0U);
    aio_->release();
    for (const auto& recorder : recorders) ASSERT_TRUE(recorder->waitForAll());
}

// The kernel may be short of memory when a worker is to be woken; nobody waits until it has some.
TEST_F(PoolLimits, AWorkerThatCannotBeWokenIsWokenLater) {
    struct KernelMemory {
        std::atomic<bool> isShort{false};
        std::atomic<int> refusals{0};
    };
    const auto kernel = std::make_shared<KernelMemory>();  // the pool wakes workers at its end, too
    aio_->onWake = [kernel] {
        if (!kernel->isShort) return 0;
        ++kernel->refusals;
        return -EAGAIN;
    };
    make();
    constexpr size_t kCount = 20;  // more than a thread submits itself
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->resting() == 1; }));
    kernel->isShort = true;
    readBlocks(device, *recorder, memory, kCount, 2);
    EXPECT_TRUE(aio_->waitUntil([&] { return kernel->refusals > 1; })) << "nobody tries again";
    EXPECT_EQ(recorder->endedCount(), 0U);
    kernel->isShort = false;
    EXPECT_TRUE(recorder->waitForAll());
}

// ... and what the kernel does not take uses none of them.
TEST_F(PoolLimits, WhatIsNotTakenLeavesItsPlace) {
    std::atomic<bool> partly{true};
    aio_->onSetup = [](unsigned entries) { return entries > 8 ? -EAGAIN : 0; };
    aio_->isHeld = [&](const FakeAio::Io&) { return !partly; };
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        return partly ? 1 : static_cast<int>(asked.size());
    };
    make();
    constexpr size_t kCount = 60;
    auto recorder = std::make_shared<Recorder>(2 * kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    ASSERT_TRUE(recorder->waitFor(kCount));
    partly = false;
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        requests.push_back({IoOp::kRead, memory.data() + i * kBlock, i * 2 * kBlock, kBlock,
                            recorder->context(kCount + i)});
    }
    pool_->submit(device, requests.data(), kCount);
    // Seven places, of which a device alone uses what leaves as many.
    EXPECT_TRUE(aio_->waitUntil([&] { return aio_->held() == 4; }));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
}

// ... or the error names the limit.
TEST_F(PoolLimits, NoContextAtAllNamesTheLimit) {
    aio_->onSetup = [](unsigned) { return -EAGAIN; };
    auto made = createPool({}, share(aio_));
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, EAGAIN);
    EXPECT_NE(made.error().message.find("fs.aio-max-nr="), std::string::npos)
        << made.error().message;
    EXPECT_NE(made.error().message.find("fs.aio-nr="), std::string::npos);
    EXPECT_NE(made.error().message.find("sysctl -w"), std::string::npos);
}

// Case 43.
TEST_F(PoolLimits, AMillionOutstanding) {
    constexpr size_t kCount = 1'000'000;
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    aio_->onComplete = [](const FakeAio::Io& io) {
        return std::optional(static_cast<int64_t>(io.length()));
    };
    make();
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    std::vector<IoRequest> requests(4096);
    const auto before = mallinfo2();
    for (size_t i = 0; i < kCount;) {
        size_t n = 0;
        for (; n < requests.size() && i < kCount; ++n, ++i) {
            // Not neighbours: each one is an I/O of its own.
            requests[n] = {IoOp::kRead, memory.data(), i * 2 % 1000 * kBlock, kBlock,
                           recorder->context(i)};
        }
        pool_->submit(device, requests.data(), n);
    }
    const auto after = mallinfo2();
    // Zero under sanitizers, which have an allocator of their own.
    EXPECT_LE((after.uordblks - before.uordblks) + (after.hblkhd - before.hblkhd), 256 * kCount);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == IoOptions().queueDepth; }));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_TRUE(recorder->eachOnce());
    for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(recorder->error(i), 0);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
