// SPDX-License-Identifier: Apache-2.0
// How much is in flight, and what of the kernel's resources it takes.
#include <gtest/gtest.h>
#include <malloc.h>

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

// Case 38: fewer resources are used...
TEST_F(PoolLimits, SmallerContextWhenTheSystemIsShort) {
    aio_->onSetup = [](unsigned entries) { return entries > 20 ? -EAGAIN : 0; };
    make();
    constexpr size_t kCount = 300;
    file_.write(0, pattern(0, kSize, 8));
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recorder->error(i), 0);
        ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * 2 * kBlock, kBlock, 8));
    }
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
