// SPDX-License-Identifier: Apache-2.0
// What an I/O that the kernel has taken may result in.
#include <gtest/gtest.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "modes.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Results : public FaultModes {
 protected:
    void make() {
        IoOptions options = optionsOf(GetParam());
        options.maxIoBytes = 1 << 20;
        FaultModes::make(options);
    }
};

/// Moves `most` bytes of an I/O, whole blocks only. @return how many it has moved
ssize_t moveSome(const FakeAio::Io& io, uint64_t most) {
    std::vector<iovec> part;
    uint64_t left = most;
    for (iovec vector : io.vectors) {
        vector.iov_len = std::min<uint64_t>(vector.iov_len, left / kBlock * kBlock);
        left -= vector.iov_len;
        if (vector.iov_len > 0) part.push_back(vector);
    }
    const auto offset = static_cast<off_t>(io.offset);
    const auto count = static_cast<int>(part.size());
    return io.write ? pwritev(io.fd, part.data(), count, offset)
                    : preadv(io.fd, part.data(), count, offset);
}

// Case 4: of every kind of operation.
TEST_P(Results, ShortOnesAreContinued) {
    for (const uint64_t most : {kBlock, 3 * kBlock, 17 * kBlock + 5}) {
        SCOPED_TRACE(most);
        make();
        aio_->onComplete = [most](const FakeAio::Io& io) -> std::optional<int64_t> {
            const ssize_t moved = moveSome(io, most);
            // A device may say that it moved a part of a block; that part is moved again.
            if (moved > 0 && static_cast<uint64_t>(moved) < io.length()) return moved + 100;
            return moved;
        };
        file_.write(0, pattern(0, 256 * kBlock, 2));
        auto recorder = std::make_shared<Recorder>(strict() ? 2 : 4);
        const auto device = add(recorder);
        constexpr uint64_t kLength = 50 * kBlock;
        Memory read(kLength);
        Memory write(kLength);
        Memory misaligned(kLength, 3);
        Memory edges(kLength, 5);
        fillPattern(write.data(), 100 * kBlock, kLength, 3);
        fillPattern(edges.data(), 200 * kBlock + 99, kLength, 4);
        std::vector<IoRequest> requests = {
            {IoOp::kRead, read.data(), 0, kLength, recorder->context(0)},
            {IoOp::kWrite, write.data(), 100 * kBlock, kLength, recorder->context(1)},
        };
        if (!strict()) {
            requests.push_back(
                {IoOp::kRead, misaligned.data(), 333, kLength, recorder->context(2)});
            requests.push_back(
                {IoOp::kWrite, edges.data(), 200 * kBlock + 99, kLength, recorder->context(3)});
        }
        submit(device, requests);
        ASSERT_TRUE(allEnded(*recorder));
        for (size_t i = 0; i < requests.size(); ++i) {
            EXPECT_EQ(recorder->error(i), 0) << i;
            EXPECT_EQ(recorder->bytes(i), kLength) << i;
        }
        EXPECT_TRUE(isPattern(read.data(), 0, kLength, 2));
        EXPECT_TRUE(isPattern(file_.read(100 * kBlock, kLength).data(), 100 * kBlock, kLength, 3));
        EXPECT_TRUE(read.guardsIntact());
        if (strict()) continue;
        EXPECT_TRUE(isPattern(misaligned.data(), 333, kLength, 2));
        EXPECT_TRUE(misaligned.guardsIntact());
        EXPECT_TRUE(isPattern(file_.read(200 * kBlock + 99, kLength).data(), 200 * kBlock + 99,
                              kLength, 4));
        EXPECT_TRUE(isPattern(file_.read(200 * kBlock, 99).data(), 200 * kBlock, 99, 2));
    }
}

// Case 4: of neighbours that one I/O carries, those before the end have moved, the others have not;
// the one that it lies in says how much of it has.
TEST_P(Results, TheEndOfTheDeviceEndsWhatLiesBehindIt) {
    constexpr size_t kCount = 6;
    constexpr uint64_t kLength = 2 * kBlock;
    constexpr uint64_t kEnd = 3 * kLength + kBlock;
    for (const IoOp op : {IoOp::kRead, IoOp::kWrite}) {
        make();
        aio_->onComplete = [](const FakeAio::Io& io) -> std::optional<int64_t> {
            return moveSome(io, io.offset < kEnd ? kEnd - io.offset : 0);
        };
        file_.write(0, pattern(0, kCount * kLength, 30));
        auto recorder = std::make_shared<Recorder>(kCount);
        const auto device = add(recorder);
        Memory memory(kCount * kLength);
        fillPattern(memory.data(), 0, kCount * kLength, 31);
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < kCount; ++i) {
            requests.push_back(
                {op, memory.data() + i * kLength, i * kLength, kLength, recorder->context(i)});
        }
        submit(device, requests);
        ASSERT_TRUE(allEnded(*recorder));
        for (size_t i = 0; i < kCount; ++i) {
            EXPECT_EQ(recorder->error(i), i < 3 ? 0 : ENODATA) << i;
            EXPECT_EQ(recorder->bytes(i), i < 3 ? kLength : i == 3 ? kBlock : 0) << i;
        }
        // What comes after the end is as it was.
        const std::vector<char> now = file_.read(0, kCount * kLength);
        const uint64_t rest = kCount * kLength - kEnd;
        if (op == IoOp::kRead) {
            EXPECT_TRUE(isPattern(memory.data(), 0, kEnd, 30));
            EXPECT_TRUE(isPattern(memory.data() + kEnd, kEnd, rest, 31));
        } else {
            EXPECT_TRUE(isPattern(now.data(), 0, kEnd, 31));
            EXPECT_TRUE(isPattern(now.data() + kEnd, kEnd, rest, 30));
        }
        EXPECT_TRUE(recorder->eachOnce());
    }
}

// Cases 4 and 5: what ends a request and with what.
TEST_P(Results, AreNeverTakenForSuccess) {
    struct Ending {
        int64_t result;
        int error;
    };
    for (const Ending ending :
         {Ending{0, ENODATA}, Ending{1, ENODATA}, Ending{-EIO, EIO}, Ending{-ENOSPC, ENOSPC},
          Ending{-EINTR, EINTR}, Ending{-EAGAIN, EAGAIN}, Ending{1 << 20, EIO}}) {
        SCOPED_TRACE(ending.result);
        make();
        aio_->onComplete = [ending](const FakeAio::Io&) { return std::optional(ending.result); };
        auto recorder = std::make_shared<Recorder>(4);
        const auto device = add(recorder);
        Memory memory(4 * kBlock);
        const uint64_t lead = strict() ? 0 : 1;
        const uint64_t length = strict() ? kBlock : 1000;
        const std::vector<IoRequest> requests = {
            {IoOp::kRead, memory.data(), 0, kBlock, recorder->context(0)},
            {IoOp::kRead, memory.data() + kBlock, 3 * kBlock + lead, length, recorder->context(1)},
            {IoOp::kWrite, memory.data() + 2 * kBlock, 6 * kBlock, kBlock, recorder->context(2)},
            {IoOp::kWrite, memory.data() + 3 * kBlock, 9 * kBlock + lead, length,
             recorder->context(3)},
        };
        submit(device, requests);
        ASSERT_TRUE(allEnded(*recorder));
        for (size_t i = 0; i < 4; ++i) {
            EXPECT_EQ(recorder->error(i), ending.error) << i;
            EXPECT_LT(recorder->bytes(i), requests[i].length) << i;
        }
        EXPECT_TRUE(recorder->eachOnce());
    }
}

TEST_P(Results, InterruptedIoIsRepeated) {
    make();
    std::atomic<int> interruptions{5};
    aio_->onComplete = [&](const FakeAio::Io&) -> std::optional<int64_t> {
        if (interruptions.fetch_sub(1) > 0) return -EINTR;
        return std::nullopt;
    };
    file_.write(0, pattern(0, kBlock, 5));
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(recorder);
    Memory memory(kBlock);
    submit(device, reads(*recorder, memory, 1, 1));
    ASSERT_TRUE(allEnded(*recorder));
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_TRUE(isPattern(memory.data(), 0, kBlock, 5));
    pool_.reset();  // it uses what is on the stack
}

// Case 36: only the requests that touch the bad range fail, however they were joined.
TEST_P(Results, AMediumErrorFailsOnlyWhatTouchesIt) {
    constexpr size_t kCount = 100;
    constexpr uint64_t kFrom = 37 * kBlock;
    constexpr uint64_t kTo = 39 * kBlock;
    for (const auto& [length, op] :
         {std::tuple(kBlock, IoOp::kRead), std::tuple(kBlock, IoOp::kWrite),
          std::tuple(2 * kBlock, IoOp::kRead), std::tuple(2 * kBlock, IoOp::kWrite),
          std::tuple(3000UL, IoOp::kRead), std::tuple(3000UL, IoOp::kWrite),
          std::tuple(10'000UL, IoOp::kRead), std::tuple(10'000UL, IoOp::kWrite)}) {
        if (strict() && length % kBlock != 0) continue;
        for (const int error : {EIO, ENOSPC}) {
            // A write finds no space, a read never.
            if (error == ENOSPC && op == IoOp::kRead) continue;
            SCOPED_TRACE(std::to_string(length) + (op == IoOp::kRead ? " read " : " written ") +
                         std::to_string(error));
            make();
            aio_->onComplete = [error](const FakeAio::Io& io) -> std::optional<int64_t> {
                if (io.touches(kFrom, kTo) && (error == EIO || io.write)) return -error;
                return std::nullopt;
            };
            file_.write(0, pattern(0, kCount * length, 6));
            auto recorder = std::make_shared<Recorder>(kCount);
            const auto device = add(recorder);
            Memory memory(kCount * length);
            if (op == IoOp::kWrite) fillPattern(memory.data(), 0, kCount * length, 7);
            std::vector<IoRequest> requests;
            for (size_t i = 0; i < kCount; ++i) {
                requests.push_back(
                    {op, memory.data() + i * length, i * length, length, recorder->context(i)});
            }
            submit(device, requests);
            ASSERT_TRUE(allEnded(*recorder));
            const std::vector<char> onFile = file_.read(0, kCount * length);
            for (size_t i = 0; i < kCount; ++i) {
                const uint64_t at = i * length;
                const uint64_t begin = at / kBlock * kBlock;
                const uint64_t end = (at + length + kBlock - 1) / kBlock * kBlock;
                const bool bad = begin < kTo && end > kFrom;
                ASSERT_EQ(recorder->error(i), bad ? error : 0) << i;
                if (bad) {
                    EXPECT_LT(recorder->bytes(i), length);
                    continue;
                }
                EXPECT_EQ(recorder->bytes(i), length);
                const char* got = op == IoOp::kWrite ? onFile.data() + at : memory.data() + at;
                ASSERT_TRUE(isPattern(got, at, length, op == IoOp::kWrite ? 7 : 6)) << i;
            }
            EXPECT_TRUE(recorder->eachOnce());
            EXPECT_TRUE(memory.guardsIntact());
        }
    }
}

// Case 36: as few as two.
TEST_P(Results, AMediumErrorPartsTwoNeighbours) {
    make();
    aio_->onComplete = [](const FakeAio::Io& io) -> std::optional<int64_t> {
        if (io.touches(kBlock, 2 * kBlock)) return -EIO;
        return std::nullopt;
    };
    file_.write(0, pattern(0, 2 * kBlock, 8));
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(recorder);
    Memory memory(2 * kBlock);
    submit(device, reads(*recorder, memory, 2, 1));
    ASSERT_TRUE(allEnded(*recorder));
    EXPECT_EQ(aio_->log().front().length(), 2 * kBlock) << "they were joined";
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_TRUE(isPattern(memory.data(), 0, kBlock, 8));
    EXPECT_EQ(recorder->error(1), EIO);
}

// A device that is gone is not asked once for each piece.
TEST_P(Results, AnErrorOfTheDeviceIsNotRetried) {
    make();
    aio_->onComplete = [](const FakeAio::Io&) { return std::optional<int64_t>(-ENODEV); };
    auto recorder = std::make_shared<Recorder>(256);
    const auto device = add(recorder);
    Memory memory(256 * kBlock);
    submit(device, reads(*recorder, memory, 256, 1));
    ASSERT_TRUE(allEnded(*recorder));
    for (size_t i = 0; i < 256; ++i) EXPECT_EQ(recorder->error(i), ENODEV);
    // Copies are made in smaller portions.
    EXPECT_LE(aio_->log().size(), GetParam().directIo == DirectIo::kOff ? 4U : 1U);
}

INSTANTIATE_TEST_SUITE_P(All, Results, ::testing::ValuesIn(faultModes()), nameOf);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
