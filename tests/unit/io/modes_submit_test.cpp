// SPDX-License-Identifier: Apache-2.0
// What io_submit may do, and what it is asked for.
#include <gtest/gtest.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <vector>

#include "modes.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Submits : public FaultModes {
 protected:
    /// One request, then two, then three, and so on: what a caller hands over itself, and what it
    /// leaves to workers.
    void submitInParts(const std::shared_ptr<IoDevice>& device,
                       const std::vector<IoRequest>& requests) {
        size_t part = 1;
        for (size_t at = 0; at < requests.size(); at += part, ++part) {
            part = std::min(part, requests.size() - at);
            pool_->submit(device, requests.data() + at, part);
        }
    }
};

// Case 37: whatever io_submit does, every request ends once and with the right bytes.
TEST_P(Submits, EveryRequestEndsOnce) {
    constexpr size_t kCount = 100;
    file_.write(0, pattern(0, kSize, 1));
    // A positive number: so many are taken. A request that is taken later is not looked at twice.
    for (const int fault : {1, 2, 7, 0, -EINTR, -EAGAIN, -ENOMEM}) {
        SCOPED_TRACE(fault);
        make();
        onSubmit([fault, calls = std::make_shared<std::atomic<size_t>>(0)](const auto& asked) {
            const size_t call = (*calls)++;
            if (call % 3 == 2) return static_cast<int>(asked.size());
            return fault > 0 ? fault : (call % 3 == 0 ? fault : 1);
        });
        auto recorder = std::make_shared<Recorder>(kCount);
        const auto device = add(recorder);
        Memory memory(kCount * kBlock);
        submitInParts(device, reads(*recorder, memory, kCount, 3));
        ASSERT_TRUE(allEnded(*recorder));
        for (size_t i = 0; i < kCount; ++i) {
            ASSERT_EQ(recorder->error(i), 0) << i;
            ASSERT_EQ(recorder->bytes(i), kBlock);
            ASSERT_TRUE(isPattern(memory.data() + i * kBlock, i * 3 * kBlock, kBlock, 1));
        }
        pool_.reset();
        EXPECT_TRUE(recorder->eachOnce());
        EXPECT_EQ(aio_->contexts(), 0U);
    }
}

// Case 37: the error of a bad control block is that of its request alone.
TEST_P(Submits, ABadControlBlockInTheMiddle) {
    constexpr size_t kCount = 60;
    const auto isBad = [](const FakeAio::Io& io) { return io.offset / kBlock % 14 == 6; };
    for (const int error : {EFAULT, EINVAL, EBADF}) {
        SCOPED_TRACE(error);
        make();
        onSubmit([=](const std::vector<FakeAio::Io>& asked) {
            int good = 0;
            while (good < static_cast<int>(asked.size()) && !isBad(asked[good])) ++good;
            return good > 0 ? good : -error;
        });
        auto recorder = std::make_shared<Recorder>(kCount);
        const auto device = add(recorder);
        Memory memory(kCount * kBlock);
        submitInParts(device, reads(*recorder, memory, kCount, 2));
        ASSERT_TRUE(allEnded(*recorder));
        for (size_t i = 0; i < kCount; ++i) {
            EXPECT_EQ(recorder->error(i), i * 2 % 14 == 6 ? error : 0) << i;
            EXPECT_EQ(recorder->bytes(i), i * 2 % 14 == 6 ? 0 : kBlock) << i;
        }
        pool_.reset();
        EXPECT_TRUE(recorder->eachOnce());
    }
}

TEST_P(Submits, DurableWritesAskForIt) {
    make();
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(recorder);
    Memory memory(2 * kBlock);
    submit(device, {
                       {IoOp::kWrite, memory.data(), 0, kBlock, recorder->context(0)},
                       {IoOp::kWrite, memory.data() + kBlock, 2 * kBlock + (strict() ? 0 : 7),
                        strict() ? kBlock : 100, recorder->context(1)},
                   });
    ASSERT_TRUE(allEnded(*recorder));
    size_t writes = 0;
    for (const FakeAio::Io& io : aio_->log()) {
        if (io.write) ++writes;
        EXPECT_EQ((io.flags & RWF_DSYNC) != 0, io.write && GetParam().durable);
        EXPECT_EQ(io.flags & ~static_cast<unsigned>(RWF_DSYNC | RWF_NOWAIT), 0U);
    }
    EXPECT_EQ(writes, 2U);
}

INSTANTIATE_TEST_SUITE_P(All, Submits, ::testing::ValuesIn(faultModes()), nameOf);

// Mode on has no merges.
class Merges : public FaultModes {};

// Case 39: a write of a part of a block and a write of all of it take turns, whichever is first.
TEST_P(Merges, AndWholeBlocksTakeTurns) {
    for (const bool mergeFirst : {true, false}) {
        make();
        aio_->isHeld = [](const FakeAio::Io&) { return true; };
        file_.write(0, pattern(0, kBlock, 15));
        auto recorder = std::make_shared<Recorder>(2);
        const auto device = add(recorder);
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
        ASSERT_TRUE(allEnded(*recorder));

        const std::vector<FakeAio::Io> log = aio_->log();
        ASSERT_EQ(log.size(), 3U);
        EXPECT_EQ(log[0].write, !mergeFirst);
        EXPECT_EQ(log[1].write, mergeFirst);
        const std::vector<char> now = file_.read(0, kBlock);
        EXPECT_TRUE(isPattern(now.data(), 0, 50, 17));
        EXPECT_TRUE(isPattern(now.data() + 50, 50, 100, mergeFirst ? 17 : 16));
        EXPECT_TRUE(isPattern(now.data() + 150, 150, kBlock - 150, 17));
    }
}

INSTANTIATE_TEST_SUITE_P(All, Merges, ::testing::ValuesIn(faultModes(isLenient)), nameOf);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
