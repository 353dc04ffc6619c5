// SPDX-License-Identifier: Apache-2.0
// Case 40: devices and pools that end with I/O in flight.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "modes.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Closing : public FaultModes {
 protected:
    /// Bounce buffers for a queue of 16.
    static IoOptions roomy() {
        IoOptions options = optionsOf(GetParam());
        options.bounceBytes = 8 << 20;
        return options;
    }
};

// Case 40: closing cancels what is queued at once and leaves the kernel what it has.
TEST_P(Closing, CloseCancelsTheQueueAndWaitsForTheKernel) {
    constexpr size_t kCount = 100;
    IoOptions options = roomy();
    options.queueDepth = 10;
    make(options);
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    auto recorder = std::make_shared<Recorder>(kCount);
    int fd = -1;
    const auto device = add(recorder, &fd);
    Memory memory(kCount * kBlock);
    submit(device, reads(*recorder, memory, kCount, 2));
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 10; }));
    pool_->closeDevice(device);
    ASSERT_TRUE(ended(*recorder, 90));
    EXPECT_GE(fcntl(fd, F_GETFD), 0) << "closed while the kernel uses it";
    aio_->release();
    ASSERT_TRUE(allEnded(*recorder));
    for (size_t i = 0; i < kCount; ++i) {
        EXPECT_EQ(recorder->error(i), i < 10 ? 0 : ECANCELED) << i;
    }
    EXPECT_TRUE(aio_->waitUntil([&] { return fcntl(fd, F_GETFD) < 0; })) << "not for the handle";
    EXPECT_TRUE(recorder->eachOnce());
}

// A write of which a part is in the kernel ends after that part.
TEST_P(Closing, CloseInTheMiddleOfALargeRequest) {
    IoOptions options = roomy();
    options.queueDepth = 4;
    options.maxIoBytes = 64 << 10;
    make(options);
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(recorder);
    Memory memory(1 << 20);
    const IoRequest request{IoOp::kWrite, memory.data(), 0, 1 << 20, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 4; }));
    pool_->closeDevice(device);
    auto second = std::make_shared<Recorder>(1);
    Memory lateMemory(kBlock);
    const IoRequest late{IoOp::kRead, lateMemory.data(), 0, kBlock, second->context(0)};
    const auto healthy = add(second);
    pool_->submit(healthy, &late, 1);  // after the close has been worked off
    aio_->waitUntil([&] { return aio_->held() == 5; });
    EXPECT_EQ(recorder->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(allEnded(*recorder));
    EXPECT_EQ(recorder->error(0), ECANCELED);
    uint64_t written = 0;
    for (const FakeAio::Io& io : aio_->log()) written += io.write ? io.length() : 0;
    EXPECT_EQ(recorder->bytes(0), written);
    EXPECT_LE(written, 256U << 10);
    ASSERT_TRUE(allEnded(*second));
}

// What may be sent elsewhere comes back as it was submitted: a write that the kernel never had, and
// any read, when the kernel has given back its part.
TEST_P(Closing, CloseGivesBackWhatTheKernelNeverHad) {
    struct Returned : Recorder {
        using Recorder::Recorder;
        void onIoReturned(const IoRequest& request) noexcept override {
            {
                std::lock_guard lock(mutex);
                requests.push_back(request);
            }
            onIoDone(request.context, EREMOTE, 0);
        }
        std::mutex mutex;
        std::vector<IoRequest> requests;
    };
    constexpr size_t kCount = 5;
    IoOptions options = roomy();
    options.queueDepth = 4;
    options.maxIoBytes = 64 << 10;
    make(options);
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    auto recorder = std::make_shared<Returned>(kCount);
    const auto device = add(recorder);
    Memory memory(2 << 20);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        const uint64_t offset = i == 0 ? 0 : (1 << 20) + i * kBlock;
        requests.push_back({i % 2 == 0 ? IoOp::kRead : IoOp::kWrite, memory.data() + offset, offset,
                            i == 0     ? uint64_t{1 << 20}
                            : strict() ? kBlock
                                       : kBlock - i * 512,
                            recorder->context(i)});
    }
    pool_->submit(device, requests.data(), kCount - 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 4; }));
    pool_->closeDevice(device);
    ASSERT_TRUE(ended(*recorder, kCount - 2));
    pool_->submit(device, &requests.back(), 1);
    ASSERT_TRUE(ended(*recorder, kCount - 1));
    aio_->release();
    ASSERT_TRUE(allEnded(*recorder));
    ASSERT_EQ(recorder->requests.size(), kCount);
    EXPECT_EQ(recorder->requests.back().context, requests[0].context) << "not before its part";
    for (size_t i = 0; i < kCount; ++i) {
        const IoRequest& was = requests[i];
        const auto found =
            std::find_if(recorder->requests.begin(), recorder->requests.end(),
                         [&was](const IoRequest& each) { return each.context == was.context; });
        ASSERT_NE(found, recorder->requests.end());
        const IoRequest& is = *found;
        EXPECT_EQ(recorder->error(i), EREMOTE);
        EXPECT_EQ(is.op, was.op);
        EXPECT_EQ(is.buffer, was.buffer);
        EXPECT_EQ(is.offset, was.offset);
        EXPECT_EQ(is.length, was.length);
        EXPECT_EQ(is.context, was.context);
    }
    EXPECT_TRUE(recorder->eachOnce());
}

// Case 40: the pool's end waits for the kernel, since that owns the memory until then.
TEST_P(Closing, DestructionWaitsForTheKernel) {
    make(roomy());
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(recorder);
    Memory memory(3 * kBlock);
    submit(device, reads(*recorder, memory, 3, 2));
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 3; }));
    std::atomic<bool> gone{false};
    std::thread ending([&] {
        pool_.reset();
        gone = true;
    });
    EXPECT_FALSE(gone);
    EXPECT_GE(aio_->contexts(), 1U);
    aio_->release();
    ending.join();
    EXPECT_EQ(recorder->endedCount(), 3U);
    EXPECT_EQ(aio_->contexts(), 0U);
}

INSTANTIATE_TEST_SUITE_P(All, Closing, ::testing::ValuesIn(faultModes()), nameOf);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
