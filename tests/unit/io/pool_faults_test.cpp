// SPDX-License-Identifier: Apache-2.0
// Everything that the kernel may answer, and when.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

// Case 37: whatever io_submit does, every request ends once and with the right bytes.
class SubmitFaults : public PoolFaults, public ::testing::WithParamInterface<int> {};

TEST_P(SubmitFaults, EveryRequestEndsOnce) {
    constexpr size_t kCount = 200;
    const int fault = GetParam();
    std::atomic<size_t> calls{0};
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        const size_t call = calls++;
        if (call % 3 == 2) return static_cast<int>(asked.size());
        return fault > 0 ? fault : (call % 3 == 0 ? fault : 1);
    };
    make();
    file_.write(0, pattern(0, kSize, 1));
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 3);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recorder->error(i), 0) << i;
        ASSERT_EQ(recorder->bytes(i), kBlock);
        ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * 3 * kBlock, kBlock, 1));
    }
    pool_.reset();
    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_EQ(aio_->contexts(), 0U);
}

// A positive number: so many are taken. A request that is taken later is not looked at twice.
INSTANTIATE_TEST_SUITE_P(All, SubmitFaults,
                         ::testing::Values(1, 2, 7, 0, -EINTR, -EAGAIN, -ENOMEM));

// Case 37: the error of a bad control block is that of its request alone.
TEST_F(PoolFaults, BadControlBlockInTheMiddle) {
    constexpr size_t kCount = 60;
    const auto isBad = [](const FakeAio::Io& io) { return io.offset / kBlock % 14 == 6; };
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        int good = 0;
        while (good < static_cast<int>(asked.size()) && !isBad(asked[good])) ++good;
        return good > 0 ? good : -EFAULT;
    };
    make();
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        EXPECT_EQ(recorder->error(i), i * 2 % 14 == 6 ? EFAULT : 0) << i;
        EXPECT_EQ(recorder->bytes(i), i * 2 % 14 == 6 ? 0 : kBlock) << i;
    }
    EXPECT_TRUE(recorder->eachOnce());
}

// Case 39: a write of a part of a block and a write of all of it take turns, whichever is first.
TEST_F(PoolFaults, MergesAndWholeBlocksTakeTurns) {
    for (const bool mergeFirst : {true, false}) {
        aio_ = std::make_shared<FakeAio>();
        aio_->isHeld = [](const FakeAio::Io&) { return true; };
        make();
        file_.write(0, pattern(0, kBlock, 15));
        auto recorder = std::make_shared<Recorder>(2);
        const auto device = add(file_, recorder);
        Memory part(100);
        Memory whole(kBlock);
        fillPattern(part.data(), 50, 100, 16);
        fillPattern(whole.data(), 0, kBlock, 17);
        const IoRequest merge{IoOp::kWrite, part.data(), 50, 100, recorder->context(0)};
        const IoRequest write{IoOp::kWrite, whole.data(), 0, kBlock, recorder->context(1)};
        pool_->submit(device, mergeFirst ? &merge : &write, 1);
        ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 1 && aio_->resting() == 1; }));
        const size_t waits = aio_->waits();
        pool_->submit(device, mergeFirst ? &write : &merge, 1);
        // The worker has looked at it and gone to rest.
        ASSERT_TRUE(aio_->waitUntil([&] { return aio_->waits() > waits && aio_->resting() == 1; }));
        EXPECT_EQ(aio_->held(), 1U);
        aio_->release();
        ASSERT_TRUE(recorder->waitForAll());

        const std::vector<FakeAio::Io> log = aio_->log();
        ASSERT_EQ(log.size(), 3U);
        EXPECT_EQ(log[0].write, !mergeFirst);
        EXPECT_EQ(log[1].write, mergeFirst);
        const std::vector<char> now = file_.read(0, kBlock);
        EXPECT_TRUE(isPattern(now.data(), 0, 50, 17));
        EXPECT_TRUE(isPattern(now.data() + 50, 50, 100, mergeFirst ? 17 : 16));
        EXPECT_TRUE(isPattern(now.data() + 150, 150, kBlock - 150, 17));
        pool_.reset();
    }
}

// Case 4: short results are continued, in every mode and kind of operation.
class ShortResults : public PoolFaults, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(ShortResults, AreContinued) {
    const uint64_t most = GetParam();
    aio_->onComplete = [most](const FakeAio::Io& io) -> std::optional<int64_t> {
        std::vector<iovec> part;
        uint64_t left = most;
        for (iovec vector : io.vectors) {
            vector.iov_len = std::min<uint64_t>(vector.iov_len, left / kBlock * kBlock);
            left -= std::min<uint64_t>(vector.iov_len, left);
            if (vector.iov_len > 0) part.push_back(vector);
        }
        const auto offset = static_cast<off_t>(io.offset);
        const auto count = static_cast<int>(part.size());
        const ssize_t moved = io.write ? pwritev(io.fd, part.data(), count, offset)
                                       : preadv(io.fd, part.data(), count, offset);
        // A device may say that it moved a part of a block; that part is moved again.
        if (moved > 0 && static_cast<uint64_t>(moved) < io.length()) return moved + 100;
        return moved;
    };
    make();
    file_.write(0, pattern(0, kSize, 2));
    auto recorder = std::make_shared<Recorder>(4);
    const auto device = add(file_, recorder);
    constexpr uint64_t kLength = 50 * kBlock;
    Memory read(kLength);
    Memory misaligned(kLength, 3);
    Memory write(kLength);
    Memory edges(kLength, 5);
    fillPattern(write.data(), 100 * kBlock, kLength, 3);
    fillPattern(edges.data(), 200 * kBlock + 99, kLength, 4);
    const IoRequest requests[] = {
        {IoOp::kRead, read.data(), 0, kLength, recorder->context(0)},
        {IoOp::kRead, misaligned.data(), 333, kLength, recorder->context(1)},
        {IoOp::kWrite, write.data(), 100 * kBlock, kLength, recorder->context(2)},
        {IoOp::kWrite, edges.data(), 200 * kBlock + 99, kLength, recorder->context(3)},
    };
    pool_->submit(device, requests, 4);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(recorder->error(i), 0) << i;
        EXPECT_EQ(recorder->bytes(i), kLength) << i;
    }
    EXPECT_TRUE(isPattern(read.data(), 0, kLength, 2));
    EXPECT_TRUE(isPattern(misaligned.data(), 333, kLength, 2));
    EXPECT_TRUE(isPattern(file_.read(100 * kBlock, kLength).data(), 100 * kBlock, kLength, 3));
    EXPECT_TRUE(
        isPattern(file_.read(200 * kBlock + 99, kLength).data(), 200 * kBlock + 99, kLength, 4));
    EXPECT_TRUE(isPattern(file_.read(200 * kBlock, 99).data(), 200 * kBlock, 99, 2));
}

INSTANTIATE_TEST_SUITE_P(Bytes, ShortResults,
                         ::testing::Values(kBlock, 3 * kBlock, 17 * kBlock + 5));

// Case 4 and 5: what ends a request and with what.
struct Ending {
    int64_t result;
    int error;
};

class Results : public PoolFaults, public ::testing::WithParamInterface<Ending> {};

TEST_P(Results, AreNeverTakenForSuccess) {
    aio_->onComplete = [](const FakeAio::Io&) { return std::optional(GetParam().result); };
    make();
    auto recorder = std::make_shared<Recorder>(4);
    const auto device = add(file_, recorder);
    Memory memory(4 * kBlock);
    const IoRequest requests[] = {
        {IoOp::kRead, memory.data(), 0, kBlock, recorder->context(0)},
        {IoOp::kRead, memory.data() + kBlock, 3 * kBlock + 1, 1000, recorder->context(1)},
        {IoOp::kWrite, memory.data() + 2 * kBlock, 6 * kBlock, kBlock, recorder->context(2)},
        {IoOp::kWrite, memory.data() + 3 * kBlock, 9 * kBlock + 1, 1000, recorder->context(3)},
    };
    pool_->submit(device, requests, 4);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(recorder->error(i), GetParam().error) << i;
        EXPECT_LT(recorder->bytes(i), requests[i].length) << i;
    }
    EXPECT_TRUE(recorder->eachOnce());
}

INSTANTIATE_TEST_SUITE_P(All, Results,
                         ::testing::Values(Ending{0, ENODATA}, Ending{1, ENODATA},
                                           Ending{-EIO, EIO}, Ending{-ENOSPC, ENOSPC},
                                           Ending{-EINTR, EINTR}, Ending{-EAGAIN, EAGAIN},
                                           Ending{1 << 20, EIO}));

TEST_F(PoolFaults, InterruptedIoIsRepeated) {
    std::atomic<int> interruptions{5};
    aio_->onComplete = [&](const FakeAio::Io&) -> std::optional<int64_t> {
        if (interruptions.fetch_sub(1) > 0) return -EINTR;
        return std::nullopt;
    };
    make();
    file_.write(0, pattern(0, kSize, 5));
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    Memory memory(kBlock);
    readBlocks(device, *recorder, memory, 1);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_TRUE(isPattern(memory.data(), 0, kBlock, 5));
}

// Case 36: only the requests that touch the bad range fail, however they were joined.
class MediumError : public PoolFaults,
                    public ::testing::WithParamInterface<std::tuple<DirectIo, uint64_t, IoOp>> {};

TEST_P(MediumError, FailsOnlyWhatTouchesIt) {
    const auto [mode, length, op] = GetParam();
    constexpr size_t kCount = 100;
    constexpr uint64_t kFrom = 37 * kBlock;
    constexpr uint64_t kTo = 39 * kBlock;
    aio_->onComplete = [](const FakeAio::Io& io) -> std::optional<int64_t> {
        if (io.touches(kFrom, kTo)) return -EIO;
        return std::nullopt;
    };
    IoOptions options;
    options.directIo = mode;
    make(options);
    file_.write(0, pattern(0, kSize, 6));
    auto recorder = std::make_shared<Recorder>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(kCount * length);
    if (op == IoOp::kWrite) fillPattern(memory.data(), 0, kCount * length, 7);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        requests.push_back(
            {op, memory.data() + i * length, i * length, length, recorder->context(i)});
    }
    pool_->submit(device, requests.data(), kCount);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        const uint64_t begin = i * length / kBlock * kBlock;
        const uint64_t end = ((i + 1) * length + kBlock - 1) / kBlock * kBlock;
        const bool bad = begin < kTo && end > kFrom;
        ASSERT_EQ(recorder->error(i), bad ? EIO : 0) << i;
        if (bad) {
            EXPECT_LT(recorder->bytes(i), length);
            continue;
        }
        EXPECT_EQ(recorder->bytes(i), length);
        const char* got = memory.data() + i * length;
        std::vector<char> onFile;
        if (op == IoOp::kWrite) {
            onFile = file_.read(i * length, length);
            got = onFile.data();
        }
        ASSERT_TRUE(isPattern(got, i * length, length, op == IoOp::kWrite ? 7 : 6));
    }
    EXPECT_TRUE(recorder->eachOnce());
    EXPECT_TRUE(memory.guardsIntact());
}

INSTANTIATE_TEST_SUITE_P(All, MediumError,
                         ::testing::Combine(::testing::Values(DirectIo::kAuto, DirectIo::kOff),
                                            ::testing::Values(kBlock, 2 * kBlock, 3000UL, 10'000UL),
                                            ::testing::Values(IoOp::kRead, IoOp::kWrite)));

// A device that is gone is not asked once for each piece.
TEST_F(PoolFaults, ErrorOfTheDeviceIsNotRetried) {
    aio_->onComplete = [](const FakeAio::Io&) { return std::optional<int64_t>(-ENODEV); };
    make();
    auto recorder = std::make_shared<Recorder>(256);
    const auto device = add(file_, recorder);
    Memory memory(256 * kBlock);
    readBlocks(device, *recorder, memory, 256);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(200), ENODEV);
    EXPECT_EQ(aio_->log().size(), 1U);
}

TEST_F(PoolFaults, QueueDepthIsKept) {
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
TEST_F(PoolFaults, OneLargeRequestFillsTheQueue) {
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

TEST_F(PoolFaults, DurableWritesAskForIt) {
    for (const bool durable : {false, true}) {
        aio_ = std::make_shared<FakeAio>();
        IoOptions options;
        options.durableWrites = durable;
        make(options);
        auto recorder = std::make_shared<Recorder>(2);
        const auto device = add(file_, recorder);
        Memory memory(2 * kBlock);
        const IoRequest requests[] = {
            {IoOp::kWrite, memory.data(), 0, kBlock, recorder->context(0)},
            {IoOp::kWrite, memory.data() + kBlock, 2 * kBlock + 7, 100, recorder->context(1)},
        };
        pool_->submit(device, requests, 2);
        ASSERT_TRUE(recorder->waitForAll());
        for (const FakeAio::Io& io : aio_->log()) {
            EXPECT_EQ(io.flags, io.write && durable ? static_cast<unsigned>(RWF_DSYNC) : 0U);
        }
        pool_.reset();
    }
}

// Case 38: fewer resources are used...
TEST_F(PoolFaults, SmallerContextWhenTheSystemIsShort) {
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
TEST_F(PoolFaults, NoContextAtAllNamesTheLimit) {
    aio_->onSetup = [](unsigned) { return -EAGAIN; };
    auto made = createPool({}, share(aio_));
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, EAGAIN);
    EXPECT_NE(made.error().message.find("fs.aio-max-nr="), std::string::npos)
        << made.error().message;
    EXPECT_NE(made.error().message.find("fs.aio-nr="), std::string::npos);
    EXPECT_NE(made.error().message.find("sysctl -w"), std::string::npos);
}

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

// io_submit blocks on one device: the completions of the others in the same context are reaped, and
// what is submitted for them meanwhile goes on.
TEST_F(PoolFaults, BlockedSubmitHoldsUpItsDeviceOnly) {
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
TEST_F(PoolFaults, BlockedSubmitThatTakesAPart) {
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
TEST_F(PoolFaults, ManyDevicesThatBlock) {
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

// Case 40: closing cancels what is queued at once and leaves the kernel what it has.
TEST_F(PoolFaults, CloseCancelsTheQueueAndWaitsForTheKernel) {
    constexpr size_t kCount = 100;
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    IoOptions options;
    options.queueDepth = 10;
    make(options);
    auto recorder = std::make_shared<Recorder>(kCount);
    int fd = -1;
    auto device = add(file_, recorder, &fd);
    Memory memory(kCount * kBlock);
    readBlocks(device, *recorder, memory, kCount, 2);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 10; }));
    pool_->closeDevice(device);
    device.reset();
    ASSERT_TRUE(recorder->waitFor(90));
    EXPECT_GE(fcntl(fd, F_GETFD), 0) << "closed while the kernel uses it";
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        EXPECT_EQ(recorder->error(i), i < 10 ? 0 : ECANCELED) << i;
    }
    EXPECT_TRUE(aio_->waitUntil([&] { return fcntl(fd, F_GETFD) < 0; }));
    EXPECT_TRUE(recorder->eachOnce());
}

// A request of which a part is in the kernel ends after that part.
TEST_F(PoolFaults, CloseInTheMiddleOfALargeRequest) {
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    IoOptions options;
    options.queueDepth = 4;
    options.maxIoBytes = 64 << 10;
    make(options);
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(file_, recorder);
    Memory memory(1 << 20);
    const IoRequest request{IoOp::kRead, memory.data(), 0, 1 << 20, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 4; }));
    pool_->closeDevice(device);
    auto second = std::make_shared<Recorder>(1);
    const IoRequest late{IoOp::kRead, memory.data(), 0, kBlock, recorder->context(0)};
    const auto healthy = add(file_, second);
    pool_->submit(healthy, &late, 1);  // after the close has been worked off
    aio_->waitUntil([&] { return aio_->held() == 5; });
    EXPECT_EQ(recorder->endedCount(), 0U);
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), ECANCELED);
    EXPECT_EQ(recorder->bytes(0), 256U << 10);
    ASSERT_TRUE(second->waitForAll());
}

// What the kernel never had comes back as it was submitted, since it may be sent elsewhere; what it
// had a part of does not.
TEST_F(PoolFaults, CloseGivesBackWhatTheKernelNeverHad) {
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
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    IoOptions options;
    options.queueDepth = 4;
    options.maxIoBytes = 64 << 10;
    make(options);
    auto recorder = std::make_shared<Returned>(kCount);
    const auto device = add(file_, recorder);
    Memory memory(2 << 20);
    std::vector<IoRequest> requests;
    for (size_t i = 0; i < kCount; ++i) {
        const uint64_t offset = i == 0 ? 0 : (1 << 20) + i * kBlock;
        requests.push_back({i % 2 == 0 ? IoOp::kRead : IoOp::kWrite, memory.data() + offset, offset,
                            i == 0 ? uint64_t{1 << 20} : kBlock - i * 512, recorder->context(i)});
    }
    pool_->submit(device, requests.data(), kCount - 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 4; }));
    pool_->closeDevice(device);
    ASSERT_TRUE(recorder->waitFor(kCount - 2));
    pool_->submit(device, &requests.back(), 1);
    ASSERT_TRUE(recorder->waitFor(kCount - 1));
    aio_->release();
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), ECANCELED);
    ASSERT_EQ(recorder->requests.size(), kCount - 1);
    for (size_t i = 1; i < kCount; ++i) {
        const IoRequest &is = recorder->requests[i - 1], &was = requests[i];
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
TEST_F(PoolFaults, DestructionWaitsForTheKernel) {
    aio_->isHeld = [](const FakeAio::Io&) { return true; };
    make();
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(file_, recorder);
    Memory memory(3 * kBlock);
    readBlocks(device, *recorder, memory, 3, 2);
    ASSERT_TRUE(aio_->waitUntil([&] { return aio_->held() == 3; }));
    std::atomic<bool> gone{false};
    std::thread ending([&] {
        pool_.reset();
        gone = true;
    });
    EXPECT_FALSE(gone);
    EXPECT_EQ(aio_->contexts(), 1U);
    aio_->release();
    ending.join();
    EXPECT_EQ(recorder->endedCount(), 3U);
    EXPECT_EQ(aio_->contexts(), 0U);
}

// Case 43.
TEST_F(PoolFaults, AMillionOutstanding) {
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
