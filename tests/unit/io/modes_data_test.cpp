// SPDX-License-Identifier: Apache-2.0
// What is written is what is read, whatever its place and alignment.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "modes.h"

namespace mooncake::nvmeof_generic::io {
namespace {

class Data : public KernelModes {};

TEST_P(Data, WritesAndReadsBack) {
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(recorder);
    constexpr uint64_t kLength = 3 << 20;
    Memory from(kLength);
    Memory to(kLength);
    fillPattern(from.data(), 8192, kLength, 1);
    const IoRequest write{IoOp::kWrite, from.data(), 8192, kLength, recorder->context(0)};
    pool_->submit(device, &write, 1);
    ASSERT_TRUE(ended(*recorder, 1));
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_EQ(recorder->bytes(0), kLength);
    EXPECT_TRUE(isPattern(file_.read(8192, kLength).data(), 8192, kLength, 1));
    EXPECT_TRUE(isPattern(from.data(), 8192, kLength, 1)) << "a write changed its source";

    const IoRequest read{IoOp::kRead, to.data(), 8192, kLength, recorder->context(1)};
    pool_->submit(device, &read, 1);
    ASSERT_TRUE(allEnded(*recorder));
    EXPECT_EQ(recorder->error(1), 0);
    EXPECT_EQ(recorder->bytes(1), kLength);
    EXPECT_TRUE(isPattern(to.data(), 8192, kLength, 1));
    EXPECT_TRUE(to.guardsIntact());
    EXPECT_TRUE(from.guardsIntact());
}

TEST_P(Data, NeighboursWithScatteredMemory) {
    constexpr size_t kCount = 512;
    auto recorder = std::make_shared<Recorder>(2 * kCount);
    const auto device = add(recorder);
    Memory from(kCount * 4096);
    Memory to(kCount * 4096);
    std::vector<IoRequest> requests;
    const auto place = [](size_t i) { return (i * 173) % kCount; };  // 173 and 512 are coprime
    for (size_t i = 0; i < kCount; ++i) {
        fillPattern(from.data() + place(i) * 4096, i * 4096, 4096, 2);
        requests.push_back(
            {IoOp::kWrite, from.data() + place(i) * 4096, i * 4096, 4096, recorder->context(i)});
    }
    pool_->submit(device, requests.data(), kCount);
    ASSERT_TRUE(ended(*recorder, kCount));
    EXPECT_TRUE(isPattern(file_.read(0, kCount * 4096).data(), 0, kCount * 4096, 2));
    for (size_t i = 0; i < kCount; ++i) {
        requests[i] = {IoOp::kRead, to.data() + place(i) * 4096, i * 4096, 4096,
                       recorder->context(kCount + i)};
    }
    pool_->submit(device, requests.data(), kCount);
    ASSERT_TRUE(allEnded(*recorder));
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recorder->error(kCount + i), 0);
        ASSERT_TRUE(isPattern(to.data() + place(i) * 4096, i * 4096, 4096, 2));
    }
    EXPECT_TRUE(to.guardsIntact());
}

// Case 39: any alignment of memory, offset and length; guard bytes around buffers and ranges. What
// the device holds is compared with a model after each round, through the exported file itself.
TEST_P(Data, RandomTrafficAgainstAModel) {
    std::mt19937_64 random(42);
    const auto pick = [&](uint64_t from, uint64_t to) {
        return std::uniform_int_distribution<uint64_t>(from, to)(random);
    };
    std::vector<char> model = pattern(0, kSize, 7);
    file_.write(0, model);
    std::shared_ptr<Recorder> recorder;
    for (int round = 0; round < 3; ++round) {
        struct Planned {
            std::unique_ptr<Memory> memory;
            IoRequest request;
            bool aligned;
        };
        std::vector<Planned> planned;
        // Requests that are outstanding together do not overlap, but they share blocks.
        for (uint64_t offset = pick(0, 9000); planned.size() < 150;) {
            const uint64_t most = pick(0, 9) == 0 ? 700'000 : pick(0, 1) != 0 ? 9000 : 300;
            uint64_t length = pick(1, most);
            uint64_t misalignment = pick(0, 3) == 0 ? pick(0, 4095) : 0;
            if (pick(0, 2) == 0 || strict()) {
                offset = (offset + 4095) / 4096 * 4096;
                length = (length + 4095) / 4096 * 4096;
                if (pick(0, 9) != 0) misalignment = 0;
            }
            if (offset + length > kSize) break;
            const IoOp op = pick(0, 1) != 0 ? IoOp::kWrite : IoOp::kRead;
            auto memory = std::make_unique<Memory>(length, misalignment);
            if (op == IoOp::kWrite) fillPattern(memory->data(), offset, length, 100 + round);
            planned.push_back(
                {std::move(memory), {op, nullptr, offset, length, nullptr}, misalignment == 0});
            offset += length + (pick(0, 1) != 0 ? 0 : pick(0, 6000));
        }
        std::shuffle(planned.begin(), planned.end(), random);
        if (pick(0, 1) != 0) {
            std::sort(planned.begin(), planned.end(), [](const Planned& a, const Planned& b) {
                return a.request.offset < b.request.offset;
            });
        }
        recorder = std::make_shared<Recorder>(planned.size());
        const auto device = add(recorder);
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < planned.size(); ++i) {
            planned[i].request.buffer = planned[i].memory->data();
            planned[i].request.context = recorder->context(i);
            requests.push_back(planned[i].request);
        }
        pool_->submit(device, requests.data(), requests.size());
        ASSERT_TRUE(allEnded(*recorder));

        for (size_t i = 0; i < planned.size(); ++i) {
            const IoRequest& request = planned[i].request;
            const char* memory = planned[i].memory->data();
            ASSERT_TRUE(planned[i].memory->guardsIntact());
            if (strict() && !planned[i].aligned) {
                // The kernel may need less than the block size; then it is moved as any other.
                ASSERT_TRUE(recorder->error(i) == EINVAL || recorder->error(i) == 0);
                if (recorder->error(i) == EINVAL) continue;
            }
            ASSERT_EQ(recorder->error(i), 0);
            ASSERT_EQ(recorder->bytes(i), request.length);
            if (request.op == IoOp::kRead) {
                ASSERT_EQ(std::memcmp(memory, model.data() + request.offset, request.length), 0);
            } else {
                std::memcpy(model.data() + request.offset, memory, request.length);
            }
        }
        const std::vector<char> now = file_.read(0, kSize);
        ASSERT_TRUE(isSame(now.data(), model.data(), kSize)) << "round " << round;
        EXPECT_TRUE(recorder->eachOnce());
        pool_->closeDevice(device);
    }
}

// Case 39.
TEST_P(Data, MisalignedRequests) {
    auto recorder = std::make_shared<Recorder>(3);
    const auto device = add(recorder);
    file_.write(0, pattern(0, 65536, 3));
    Memory memory(8192, 1);
    Memory aligned(8192);
    const IoRequest requests[] = {
        {IoOp::kRead, memory.data(), 4096, 8192, recorder->context(0)},
        {IoOp::kRead, aligned.data() + 4096, 8192 + 8, 512, recorder->context(1)},
        {IoOp::kRead, aligned.data(), 16384, 100, recorder->context(2)},
    };
    pool_->submit(device, requests, 3);
    ASSERT_TRUE(allEnded(*recorder));
    EXPECT_TRUE(memory.guardsIntact());
    EXPECT_TRUE(aligned.guardsIntact());
    for (size_t i = 0; i < 3; ++i) {
        const IoRequest& request = requests[i];
        if (strict()) {
            EXPECT_EQ(recorder->error(i), EINVAL);
            EXPECT_EQ(recorder->bytes(i), 0U);
        } else {
            EXPECT_EQ(recorder->error(i), 0);
            EXPECT_TRUE(
                isPattern(static_cast<char*>(request.buffer), request.offset, request.length, 3));
        }
    }
}

// Mode on has no unaligned writes.
class UnalignedData : public KernelModes {};

// Case 39: writers of different bytes of the same blocks, some of them of whole blocks.
TEST_P(UnalignedData, WritersOfOneBlockLoseNothing) {
    constexpr uint64_t kPiece = 96;  // no divisor of a block, so pieces lie across blocks
    constexpr size_t kPieces = 400;
    constexpr size_t kThreads = 4;
    auto recorder = std::make_shared<Recorder>(kPieces);
    const auto device = add(recorder);
    file_.write(0, pattern(0, 65536, 8));
    Memory memory(kPieces * kPiece);
    fillPattern(memory.data(), 0, kPieces * kPiece, 9);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (size_t i = t; i < kPieces; i += kThreads) {
                const IoRequest request{IoOp::kWrite, memory.data() + i * kPiece, i * kPiece,
                                        kPiece, recorder->context(i)};
                pool_->submit(device, &request, 1);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(allEnded(*recorder));
    const std::vector<char> now = file_.read(0, 65536);
    EXPECT_TRUE(isPattern(now.data(), 0, kPieces * kPiece, 9));
    EXPECT_TRUE(
        isPattern(now.data() + kPieces * kPiece, kPieces * kPiece, 65536 - kPieces * kPiece, 8));
}

// The smallest pool of bounce buffers there is: requests wait, nothing fails, nothing is stuck.
class ScarcePool : public KernelModes {
 protected:
    void change(IoOptions& options) override {
        options.bounceBytes = 64 << 10;
        options.queueDepth = 3;
        options.maxIoBytes = 4096;
    }
};

TEST_P(ScarcePool, UnalignedRequestsOfManyDevicesAllEnd) {
    constexpr size_t kDevices = 5;
    constexpr size_t kEach = 60;
    Memory memory(kDevices * kEach * 3000);
    file_.write(0, pattern(0, kSize, 31));
    std::vector<std::shared_ptr<Recorder>> recorders;
    std::vector<std::shared_ptr<IoDevice>> devices;
    for (size_t d = 0; d < kDevices; ++d) {
        recorders.push_back(std::make_shared<Recorder>(kEach));
        devices.push_back(add(recorders.back()));
    }
    for (size_t d = 0; d < kDevices; ++d) {
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < kEach; ++i) {
            requests.push_back({IoOp::kRead, memory.data() + (d * kEach + i) * 3000, 777 + i * 5000,
                                3000, recorders[d]->context(i)});
        }
        pool_->submit(devices[d], requests.data(), kEach);
    }
    for (size_t d = 0; d < kDevices; ++d) {
        ASSERT_TRUE(allEnded(*recorders[d]));
        for (size_t i = 0; i < kEach; ++i) {
            ASSERT_EQ(recorders[d]->error(i), 0);
            ASSERT_TRUE(
                isPattern(memory.data() + (d * kEach + i) * 3000, 777 + i * 5000, 3000, 31));
        }
    }
    EXPECT_TRUE(memory.guardsIntact());
}

INSTANTIATE_TEST_SUITE_P(All, Data, ::testing::ValuesIn(kernelModes()), nameOf);
INSTANTIATE_TEST_SUITE_P(All, UnalignedData, ::testing::ValuesIn(kernelModes(isLenient)), nameOf);
INSTANTIATE_TEST_SUITE_P(All, ScarcePool, ::testing::ValuesIn(kernelModes([](const Mode& mode) {
                             return isLenient(mode) && isOnFile(mode) && mode.workers > 1;
                         })),
                         nameOf);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
