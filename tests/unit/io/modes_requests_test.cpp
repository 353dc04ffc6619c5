// SPDX-License-Identifier: Apache-2.0
// What becomes of requests: wrong ones, many, and those of a device or pool that ends.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "modes.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Requests : public KernelModes {};

// Case 27.
TEST_P(Requests, MalformedRequestsFailAlone) {
    auto recorder = std::make_shared<Recorder>(10);
    const auto device = add(recorder);
    file_.write(0, pattern(0, kSize, 4));
    Memory memory(8 * 4096);
    char* const data = memory.data();
    const IoRequest requests[] = {
        {IoOp::kRead, data, 0, 4096, recorder->context(0)},
        {IoOp::kRead, data + 4096, kSize, 4096, recorder->context(1)},
        {IoOp::kRead, data + 8192, kSize - 4096, 4096, recorder->context(2)},
        {IoOp::kRead, data, kSize - 4096, 8192, recorder->context(3)},
        {IoOp::kRead, data, UINT64_MAX - 4095, 8192, recorder->context(4)},
        {IoOp::kRead, data, 4096, 0, recorder->context(5)},
        {IoOp::kRead, nullptr, 4096, 4096, recorder->context(6)},
        {IoOp::kRead, data + 12288, 4096, 4096, recorder->context(7)},
        {IoOp::kWrite, data + 16384, kSize - 4096, 8192, recorder->context(8)},
        {IoOp::kWrite, data + 16384, UINT64_MAX - 4095, 8192, recorder->context(9)},
    };
    pool_->submit(device, requests, 10);
    ASSERT_TRUE(allEnded(*recorder));
    for (size_t i : {0, 2, 7}) {
        EXPECT_EQ(recorder->error(i), 0);
        EXPECT_TRUE(isPattern(static_cast<char*>(requests[i].buffer), requests[i].offset, 4096, 4));
    }
    for (size_t i : {1, 3, 4, 5, 6, 8, 9}) {
        EXPECT_EQ(recorder->error(i), EINVAL) << i;
        EXPECT_EQ(recorder->bytes(i), 0U) << i;
    }
    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_TRUE(memory.guardsIntact());
    EXPECT_TRUE(isPattern(file_.read(0, kSize).data(), 0, kSize, 4)) << "nothing was written";
}

// Case 43: more than any queue or context holds, in one submit.
TEST_P(Requests, ManyOutstandingAllEnd) {
    constexpr size_t kCount = 3000;
    constexpr uint64_t kLength = 512;
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(recorder);
    file_.write(0, pattern(0, kSize, 41));
    const uint64_t step = strict() ? 4096 : kLength;
    Memory memory(kCount * step);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        requests.push_back({IoOp::kRead, memory.data() + i * step, i * 7 % 1000 * 4096, step,
                            recorder->context(i)});
    }
    submit(device, requests);
    ASSERT_TRUE(allEnded(*recorder));
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recorder->error(i), 0);
        ASSERT_TRUE(isPattern(memory.data() + i * step, requests[i].offset, step, 41));
    }
    EXPECT_TRUE(recorder->eachOnce());
}

// Case 40: what the kernel has goes on, what it has not comes back.
TEST_P(Requests, CloseWithIoInFlight) {
    constexpr size_t kCount = 500;
    auto recorder = std::make_shared<Recorder>(kCount + 1);
    auto device = add(recorder);
    file_.write(0, pattern(0, kSize, 42));
    Memory memory(kCount * 4096);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        requests.push_back({IoOp::kRead, memory.data() + i * 4096, i * 7 % 1000 * 4096, 4096,
                            recorder->context(i)});
    }
    submit(device, requests);
    pool_->closeDevice(device);
    pool_->closeDevice(device);
    const IoRequest late{IoOp::kRead, memory.data(), 0, 4096, recorder->context(kCount)};
    pool_->submit(device, &late, 1);
    EXPECT_TRUE(recorder->ended(kCount)) << "refused at once";
    EXPECT_EQ(recorder->error(kCount), ECANCELED);
    device.reset();
    ASSERT_TRUE(allEnded(*recorder));
    for (size_t i = 0; i < kCount; ++i) {
        if (recorder->error(i) == 0) {
            EXPECT_TRUE(isPattern(memory.data() + i * 4096, requests[i].offset, 4096, 42));
        } else {
            EXPECT_EQ(recorder->error(i), ECANCELED);
            EXPECT_EQ(recorder->bytes(i), 0U);
        }
    }
    pool_.reset();
    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_EQ(recorder.use_count(), 1) << "the device has let its listener go";
}

// Case 40.
TEST_P(Requests, DestructionDrains) {
    constexpr size_t kCount = 2000;
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(recorder);
    Memory memory(kCount * 4096);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        requests.push_back({IoOp::kRead, memory.data() + i * 4096, (i * 37 % 1000) * 4096, 4096,
                            recorder->context(i)});
    }
    pool_->submit(device, requests.data(), kCount);
    pool_.reset();
    EXPECT_EQ(recorder->endedCount(), kCount);
    EXPECT_TRUE(recorder->eachOnce());
    for (size_t i = 0; i < kCount; ++i) {
        EXPECT_TRUE(recorder->error(i) == 0 || recorder->error(i) == ECANCELED);
        EXPECT_EQ(recorder->bytes(i), recorder->error(i) == 0 ? 4096U : 0U);
    }
}

// A listener that goes on submitting: what a window of requests does.
class Chain : public IoListener {
 public:
    static constexpr size_t kRequests = 2000;

    explicit Chain(IoPool& pool) : pool_(pool) {}

    void onIoDone(void* context, int error, uint64_t bytes) noexcept override {
        if (error != 0 || bytes != kStep) ++failures;
        next(reinterpret_cast<size_t>(context));
        if (++ended == kRequests) {
            std::lock_guard lock(mutex_);
            over_.notify_all();
        }
    }
    void start() {
        for (size_t slot = 0; slot < kWindow; ++slot) next(slot);
    }
    void wait() {
        std::unique_lock lock(mutex_);
        over_.wait_for(lock, std::chrono::seconds(60), [this] { return ended == kRequests; });
    }

    std::shared_ptr<IoDevice> device;
    std::atomic<size_t> failures{0};
    std::atomic<size_t> ended{0};

 private:
    static constexpr size_t kWindow = 8;
    static constexpr uint64_t kStep = 4096;

    void next(size_t slot) {
        const size_t number = begun_++;
        if (number >= kRequests) return;
        const IoRequest request{IoOp::kRead, memory_.data() + slot * kStep, number % 1000 * kStep,
                                kStep, reinterpret_cast<void*>(slot)};
        pool_.submit(device, &request, 1);
    }

    IoPool& pool_;
    Memory memory_{kWindow * kStep};
    std::atomic<size_t> begun_{0};
    std::mutex mutex_;
    std::condition_variable over_;
};

TEST_P(Requests, ListenerMaySubmit) {
    auto chain = std::make_shared<Chain>(*pool_);
    chain->device = add(chain);
    chain->start();
    if (polls()) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (chain->ended < Chain::kRequests && std::chrono::steady_clock::now() < limit) {
            if (!pool_->poll()) pool_->wait(std::chrono::milliseconds(10));
        }
    } else {
        chain->wait();
    }
    EXPECT_EQ(chain->ended, Chain::kRequests);
    EXPECT_EQ(chain->failures, 0U);
    pool_.reset();
    chain->device.reset();
}

class ShortFile : public KernelModes {};

// Case 4: the device is shorter than it was said to be.
TEST_P(ShortFile, ReadBeyondTheEndIsNoData) {
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(recorder);
    file_.write(0, pattern(0, kSize, 5));
    constexpr uint64_t kEnd = 1 << 20;
    file_.truncate(kEnd);
    Memory memory(65536);
    const IoRequest requests[] = {
        {IoOp::kRead, memory.data(), kEnd - 4096, 4096, recorder->context(0)},
        {IoOp::kRead, memory.data() + 4096, kEnd, 8192, recorder->context(1)},
        {IoOp::kRead, memory.data() + 16384, kEnd - 8192, 32768, recorder->context(2)},
    };
    pool_->submit(device, requests, 3);
    ASSERT_TRUE(allEnded(*recorder));
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_TRUE(isPattern(memory.data(), kEnd - 4096, 4096, 5));
    EXPECT_EQ(recorder->error(1), ENODATA);
    EXPECT_EQ(recorder->bytes(1), 0U);
    EXPECT_EQ(recorder->error(2), ENODATA);
    EXPECT_EQ(recorder->bytes(2), 8192U);
    EXPECT_TRUE(isPattern(memory.data() + 16384, kEnd - 8192, 8192, 5));
}

INSTANTIATE_TEST_SUITE_P(All, Requests, ::testing::ValuesIn(kernelModes()), nameOf);
INSTANTIATE_TEST_SUITE_P(All, ShortFile, ::testing::ValuesIn(kernelModes(isOnFile)), nameOf);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
