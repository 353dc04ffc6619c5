// SPDX-License-Identifier: Apache-2.0
// A device that is closed: what the kernel never had comes back, the rest has failed.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// Keeps what came back.
class Giving : public Recorder {
 public:
    using Recorder::Recorder;
    void onIoReturned(const IoRequest& request) noexcept override {
        {
            std::lock_guard lock(mutex_);
            returned_.push_back(request);
        }
        onIoDone(request.context, kReturned, 0);
    }
    bool isReturned(size_t request) const { return error(request) == kReturned; }
    /// Whether it came back as it was submitted.
    ::testing::AssertionResult cameBack(const IoRequest& was) {
        std::lock_guard lock(mutex_);
        for (const IoRequest& is : returned_) {
            if (is.context != was.context) continue;
            if (is.op == was.op && is.buffer == was.buffer && is.offset == was.offset &&
                is.length == was.length) {
                return ::testing::AssertionSuccess();
            }
            return ::testing::AssertionFailure() << "as " << is.length << " bytes at " << is.offset
                                                 << ", not " << was.length << " at " << was.offset;
        }
        return ::testing::AssertionFailure()
               << "it ended with " << error(reinterpret_cast<size_t>(was.context)) << ", request "
               << reinterpret_cast<size_t>(was.context);
    }

 private:
    static constexpr int kReturned = EREMOTE;
    std::mutex mutex_;
    std::vector<IoRequest> returned_;
};

class PoolClose : public PoolFaults {
 protected:
    static constexpr uint64_t kPart = 64 << 10;  // the largest I/O

    void makeSmall() {
        IoOptions options;
        options.maxIoBytes = kPart;
        make(options);
    }
    // The kernel takes nothing from now on.
    void refuseAll() { takes_ = 0; }
    void takeAtMost(int operations) {
        takes_ = operations;
        aio_->onSubmit = [this](const std::vector<FakeAio::Io>& asked) {
            const int taken = std::min(takes_.load(), static_cast<int>(asked.size()));
            takes_ -= taken;
            return taken > 0 ? taken : -EAGAIN;
        };
    }
    void holdAll() {
        aio_->isHeld = [](const FakeAio::Io&) { return true; };
    }
    bool isRefused() {
        const size_t submits = aio_->submits();
        return aio_->waitUntil([&] { return aio_->submits() >= submits + 2; });
    }

    Memory memory_{kSize};
    std::atomic<int> takes_{0};
};

// Cut into pieces, joined with its neighbours or through bounce buffers: what was planned and
// refused is whole again.
TEST_F(PoolClose, WhatWasPlannedAndRefusedComesBackAsItWas) {
    takeAtMost(0);
    makeSmall();
    constexpr size_t kCount = 7;
    auto recorder = std::make_shared<Giving>(kCount + 1);
    const auto device = add(file_, recorder);
    // The record of an I/O that was continued is used again for another one.
    takes_ = 2;
    const IoRequest before{IoOp::kWrite, memory_.data(), 100, 200, recorder->context(kCount)};
    pool_->submit(device, &before, 1);
    ASSERT_TRUE(recorder->waitFor(1));
    EXPECT_EQ(recorder->error(kCount), 0);
    struct Range {
        IoOp op;
        uint64_t offset, length;
    };
    const Range ranges[kCount] = {
        {IoOp::kRead, 0, 16 * kPart},                     // many I/Os
        {IoOp::kWrite, 16 * kPart, kBlock},               // joined
        {IoOp::kWrite, 16 * kPart + kBlock, 2 * kBlock},  // with this one
        {IoOp::kWrite, 20 * kPart + 100, 3 * kPart},      // merges and whole blocks
        {IoOp::kRead, 24 * kPart + 512, 1000},            // a part of a block
        {IoOp::kWrite, 25 * kPart, 512},                  // a merge
        {IoOp::kWrite, 25 * kPart + 512, 512},            // that waits for it
    };
    std::vector<IoRequest> requests;
    for (const Range& range : ranges) {
        requests.push_back({range.op, memory_.data() + range.offset, range.offset, range.length,
                            recorder->context(requests.size())});
    }
    pool_->submit(device, requests.data(), kCount);
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    for (const IoRequest& request : requests) EXPECT_TRUE(recorder->cameBack(request));
    EXPECT_TRUE(recorder->eachOnce());
}

// A caller's own submit that the kernel refused is no different.
TEST_F(PoolClose, WhatACallerCouldNotSubmitComesBack) {
    aio_->onNowait = [](const std::vector<FakeAio::Io>&) { return -EAGAIN; };
    takeAtMost(0);
    makeSmall();
    pool_->enablePolling();
    auto recorder = std::make_shared<Giving>(1);
    const auto device = add(file_, recorder);
    const IoRequest request{IoOp::kWrite, memory_.data(), 0, 4 * kPart, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_TRUE(recorder->cameBack(request));
}

// One of which the kernel has a part does not come back, however that part ends (0: well); the one
// planned behind it does.
class PartlySubmitted : public PoolClose, public ::testing::WithParamInterface<int> {};

TEST_P(PartlySubmitted, EndsOnceWithItsPart) {
    const int error = GetParam();
    holdAll();
    aio_->onComplete = [error](const FakeAio::Io& io) {
        return std::optional(error == 0 ? static_cast<int64_t>(io.length()) : -error);
    };
    takeAtMost(1);
    makeSmall();
    auto recorder = std::make_shared<Giving>(2);
    const auto device = add(file_, recorder);
    const std::vector<IoRequest> requests = {
        {IoOp::kWrite, memory_.data(), 0, 4 * kPart, recorder->context(0)},
        {IoOp::kWrite, memory_.data() + 8 * kPart, 8 * kPart, 2 * kPart, recorder->context(1)}};
    pool_->submit(device, requests.data(), requests.size());
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitFor(1));
    EXPECT_TRUE(recorder->cameBack(requests[1]));
    EXPECT_FALSE(recorder->ended(0));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), ECANCELED) << "what the kernel did not have is not done";
    EXPECT_EQ(recorder->bytes(0) > 0, error == 0);
    EXPECT_TRUE(recorder->eachOnce());
}

INSTANTIATE_TEST_SUITE_P(All, PartlySubmitted, ::testing::Values(0, EIO, EINTR, ECANCELED));

// A write that came back as an event was in the kernel's hands, whatever it says of it.
TEST_F(PoolClose, WhatTheKernelReturnedUnfinishedDoesNotComeBack) {
    aio_->onComplete = [this](const FakeAio::Io&) {
        refuseAll();
        return std::optional(int64_t{-EAGAIN});
    };
    takeAtMost(1);
    makeSmall();
    auto recorder = std::make_shared<Giving>(1);
    const auto device = add(file_, recorder);
    const IoRequest request{IoOp::kWrite, memory_.data(), 0, kBlock, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), ECANCELED);
}

// A merge that has read its block has written nothing.
TEST_F(PoolClose, AMergeThatHasOnlyReadComesBack) {
    takeAtMost(1);
    makeSmall();
    auto recorder = std::make_shared<Giving>(1);
    const auto device = add(file_, recorder);
    const IoRequest request{IoOp::kWrite, memory_.data(), 100, 200, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_TRUE(recorder->cameBack(request));
}

// What has been read through bounce buffers so far is not in the memory of its requests.
TEST_F(PoolClose, AReadThroughBounceBuffersThatGotAPartComesBack) {
    aio_->onComplete = [this](const FakeAio::Io& io) {
        EXPECT_EQ(io.length(), 2 * kBlock) << "the two are one I/O";
        refuseAll();
        return std::optional(static_cast<int64_t>(kBlock));
    };
    takeAtMost(1);
    makeSmall();
    auto recorder = std::make_shared<Giving>(2);
    const auto device = add(file_, recorder);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < 2; ++i) {
        requests.push_back({IoOp::kRead, memory_.data() + 1 + i * kBlock, i * kBlock, kBlock,
                            recorder->context(i)});
    }
    pool_->submit(device, requests.data(), requests.size());
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    for (const IoRequest& request : requests) EXPECT_TRUE(recorder->cameBack(request));
}

// What was not to wait, and would have had to, has had no effect.
TEST_F(PoolClose, WhatWouldHaveWaitedComesBack) {
    aio_->onNowait = [](const std::vector<FakeAio::Io>& asked) {
        return static_cast<int>(asked.size());
    };
    aio_->onComplete = [](const FakeAio::Io& io) -> std::optional<int64_t> {
        EXPECT_NE(io.flags & RWF_NOWAIT, 0U);
        return -EAGAIN;
    };
    takeAtMost(0);
    makeSmall();
    pool_->enablePolling();
    auto recorder = std::make_shared<Giving>(1);
    const auto device = add(file_, recorder);
    const IoRequest request{IoOp::kWrite, memory_.data(), 0, kBlock, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_TRUE(recorder->cameBack(request));
}

// A joined I/O failed, and its requests were to be tried each alone.
TEST_F(PoolClose, WhatFailedOnceAndWaitsToBeTriedAloneDoesNotComeBack) {
    aio_->onComplete = [this](const FakeAio::Io&) {
        refuseAll();
        return std::optional(int64_t{-EIO});
    };
    takeAtMost(1);
    makeSmall();
    auto recorder = std::make_shared<Giving>(2);
    const auto device = add(file_, recorder);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < 2; ++i) {
        requests.push_back(
            {IoOp::kWrite, memory_.data() + i * kBlock, i * kBlock, kBlock, recorder->context(i)});
    }
    pool_->submit(device, requests.data(), requests.size());
    ASSERT_TRUE(isRefused());
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(recorder->error(i), ECANCELED);
    EXPECT_TRUE(recorder->eachOnce());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
