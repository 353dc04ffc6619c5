// SPDX-License-Identifier: Apache-2.0
// One suite over all modes and kinds of device, with the kernel's own asynchronous I/O.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "io_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

enum class On { kFile, kLoop512, kLoop4096 };

using Variant = std::tuple<DirectIo, On, uint32_t /* workers */>;

std::string name(const ::testing::TestParamInfo<Variant>& info) {
    const auto [mode, on, workers] = info.param;
    const std::string modes[] = {"On", "Off", "Auto"};
    const std::string devices[] = {"File", "Loop512", "Loop4096"};
    return modes[static_cast<int>(mode)] + devices[static_cast<int>(on)] + std::to_string(workers) +
           "Workers";
}

class PoolModes : public ::testing::TestWithParam<Variant> {
 protected:
    static constexpr uint64_t kSize = 4 << 20;

    void SetUp() override {
        const auto [mode, on, workers] = GetParam();
        IoOptions options;
        options.directIo = mode_ = mode;
        options.numWorkers = workers;
        options.bounceBytes = 1 << 20;
        options.queueDepth = 16;
        options.maxIoBytes = 128 << 10;
        change(options);
        auto made = IoPool::create(options);
        ASSERT_TRUE(made.ok()) << made.error().message;
        pool_ = made.take();

        path_ = file_.path();
        blockSize_ = 4096;
        if (on != On::kFile) {
            blockSize_ = on == On::kLoop512 ? 512 : 4096;
            loop_ = LoopDevice::create(file_.path(), blockSize_);
            if (loop_ == nullptr) GTEST_SKIP() << "no loop device can be set up here";
            path_ = loop_->path();
        }
    }
    virtual void change(IoOptions&) {}

    std::shared_ptr<IoDevice> add(std::shared_ptr<IoListener> listener, uint64_t size = kSize) {
        auto added = pool_->addDevice(
            {openFor(*pool_, path_), path_, size, blockSize_, std::move(listener)});
        if (!added.ok()) throw std::runtime_error(added.error().message);
        return added.take();
    }

    TempFile file_{kSize};
    DirectIo mode_ = DirectIo::kAuto;
    uint32_t blockSize_ = 0;
    std::string path_;
    std::unique_ptr<LoopDevice> loop_;
    std::unique_ptr<IoPool> pool_;
};

// A loop device gives zeros behind the end of its file.
class FileModes : public PoolModes {};

// Mode on has no unaligned writes.
class UnalignedModes : public PoolModes {};

TEST_P(PoolModes, WritesAndReadsBack) {
    auto recorder = std::make_shared<Recorder>(2);
    const auto device = add(recorder);
    constexpr uint64_t kLength = 3 << 20;
    Memory from(kLength);
    Memory to(kLength);
    fillPattern(from.data(), 8192, kLength, 1);
    const IoRequest write{IoOp::kWrite, from.data(), 8192, kLength, recorder->context(0)};
    pool_->submit(device, &write, 1);
    ASSERT_TRUE(recorder->waitFor(1));
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_EQ(recorder->bytes(0), kLength);
    EXPECT_TRUE(isPattern(file_.read(8192, kLength).data(), 8192, kLength, 1));
    EXPECT_TRUE(isPattern(from.data(), 8192, kLength, 1)) << "a write changed its source";

    const IoRequest read{IoOp::kRead, to.data(), 8192, kLength, recorder->context(1)};
    pool_->submit(device, &read, 1);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(1), 0);
    EXPECT_EQ(recorder->bytes(1), kLength);
    EXPECT_TRUE(isPattern(to.data(), 8192, kLength, 1));
    EXPECT_TRUE(to.guardsIntact());
    EXPECT_TRUE(from.guardsIntact());
}

TEST_P(PoolModes, NeighboursWithScatteredMemory) {
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
    ASSERT_TRUE(recorder->waitFor(kCount));
    EXPECT_TRUE(isPattern(file_.read(0, kCount * 4096).data(), 0, kCount * 4096, 2));
    for (size_t i = 0; i < kCount; ++i) {
        requests[i] = {IoOp::kRead, to.data() + place(i) * 4096, i * 4096, 4096,
                       recorder->context(kCount + i)};
    }
    pool_->submit(device, requests.data(), kCount);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i = 0; i < kCount; ++i) {
        ASSERT_EQ(recorder->error(kCount + i), 0);
        ASSERT_TRUE(isPattern(to.data() + place(i) * 4096, i * 4096, 4096, 2));
    }
    EXPECT_TRUE(to.guardsIntact());
}

// Case 39: any alignment of memory, offset and length; guard bytes around buffers and ranges. What
// the device holds is compared with a model after each round, through the exported file itself.
TEST_P(PoolModes, RandomTrafficAgainstAModel) {
    std::mt19937_64 random(42);
    const auto pick = [&](uint64_t from, uint64_t to) {
        return std::uniform_int_distribution<uint64_t>(from, to)(random);
    };
    std::vector<char> model = pattern(0, kSize, 7);
    file_.write(0, model);
    std::shared_ptr<Recorder> recorder;
    for (int round = 0; round < 5; ++round) {
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
            if (pick(0, 2) == 0 || mode_ == DirectIo::kOn) {
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
        ASSERT_TRUE(recorder->waitForAll());

        for (size_t i = 0; i < planned.size(); ++i) {
            const IoRequest& request = planned[i].request;
            const char* memory = planned[i].memory->data();
            ASSERT_TRUE(planned[i].memory->guardsIntact());
            if (mode_ == DirectIo::kOn && !planned[i].aligned) {
                // The kernel may need less than the block size; then it is moved as any other.
                ASSERT_TRUE(recorder->error(i) == EINVAL || recorder->error(i) == 0);
                if (recorder->error(i) == EINVAL) continue;
            }
            ASSERT_EQ(recorder->error(i), 0);
            ASSERT_EQ(recorder->bytes(i), request.length);
            if (request.op == IoOp::kRead) {
                ASSERT_TRUE(std::equal(memory, memory + request.length,
                                       model.begin() + static_cast<long>(request.offset)));
            } else {
                std::copy(memory, memory + request.length,
                          model.begin() + static_cast<long>(request.offset));
            }
        }
        const std::vector<char> now = file_.read(0, kSize);
        const auto different = std::mismatch(now.begin(), now.end(), model.begin());
        ASSERT_EQ(different.first, now.end())
            << "round " << round << ", byte " << different.first - now.begin();
        EXPECT_TRUE(recorder->eachOnce());
        pool_->closeDevice(device);
    }
}

// Case 39.
TEST_P(PoolModes, MisalignedRequests) {
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
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_TRUE(memory.guardsIntact());
    EXPECT_TRUE(aligned.guardsIntact());
    for (size_t i = 0; i < 3; ++i) {
        const IoRequest& request = requests[i];
        if (mode_ == DirectIo::kOn) {
            EXPECT_EQ(recorder->error(i), EINVAL);
            EXPECT_EQ(recorder->bytes(i), 0U);
        } else {
            EXPECT_EQ(recorder->error(i), 0);
            EXPECT_TRUE(
                isPattern(static_cast<char*>(request.buffer), request.offset, request.length, 3));
        }
    }
}

// Case 27.
TEST_P(PoolModes, MalformedRequestsFailAlone) {
    auto recorder = std::make_shared<Recorder>(8);
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
    };
    pool_->submit(device, requests, 8);
    ASSERT_TRUE(recorder->waitForAll());
    for (size_t i : {0, 2, 7}) {
        EXPECT_EQ(recorder->error(i), 0);
        EXPECT_TRUE(isPattern(static_cast<char*>(requests[i].buffer), requests[i].offset, 4096, 4));
    }
    for (size_t i : {1, 3, 4, 5, 6}) {
        EXPECT_EQ(recorder->error(i), EINVAL) << i;
        EXPECT_EQ(recorder->bytes(i), 0U) << i;
    }
    EXPECT_TRUE(recorder->eachOnce());
}

// Case 4: the device is shorter than it was said to be.
TEST_P(FileModes, ReadBeyondTheEndIsNoData) {
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
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
    EXPECT_TRUE(isPattern(memory.data(), kEnd - 4096, 4096, 5));
    EXPECT_EQ(recorder->error(1), ENODATA);
    EXPECT_EQ(recorder->bytes(1), 0U);
    EXPECT_EQ(recorder->error(2), ENODATA);
    EXPECT_EQ(recorder->bytes(2), 8192U);
    EXPECT_TRUE(isPattern(memory.data() + 16384, kEnd - 8192, 8192, 5));
}

// Case 39: writers of different bytes of the same blocks, some of them of whole blocks.
TEST_P(UnalignedModes, WritersOfOneBlockLoseNothing) {
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
    ASSERT_TRUE(recorder->waitForAll());
    const std::vector<char> now = file_.read(0, 65536);
    EXPECT_TRUE(isPattern(now.data(), 0, kPieces * kPiece, 9));
    EXPECT_TRUE(
        isPattern(now.data() + kPieces * kPiece, kPieces * kPiece, 65536 - kPieces * kPiece, 8));
}

// Case 41, on one host: what another path to the same bytes has written is seen, and the bytes that
// it has written next to ours stay.
TEST_P(PoolModes, SeesWhatOthersWrite) {
    auto recorder = std::make_shared<Recorder>(12);
    const auto device = add(recorder);
    std::unique_ptr<LoopDevice> second;
    std::string otherPath = path_;
    if (loop_ != nullptr) {
        second = LoopDevice::create(file_.path(), blockSize_);
        ASSERT_NE(second, nullptr);
        otherPath = second->path();
    }
    // The other initiator: a device of its own, with a page cache of its own.
    UniqueFd other(open(otherPath.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    ASSERT_TRUE(other.valid());
    // Somebody on this host keeps the page in the cache, so that nothing can drop it.
    UniqueFd cached(open(path_.c_str(), O_RDWR | O_CLOEXEC));
    void* mapping = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, cached.get(), 0);
    ASSERT_NE(mapping, MAP_FAILED);

    Memory memory(8192);
    Memory remote(8192);
    for (size_t i = 0; i < 12; i += 2) {
        (void)*static_cast<volatile char*>(mapping);
        fillPattern(remote.data(), 0, 8192, 20 + i);
        ASSERT_EQ(pwrite(other.get(), remote.data(), 8192, 0), 8192);
        const IoRequest read{IoOp::kRead, memory.data(), 0, 8192, recorder->context(i)};
        pool_->submit(device, &read, 1);
        ASSERT_TRUE(recorder->waitFor(i + 1));
        ASSERT_TRUE(isPattern(memory.data(), 0, 8192, 20 + i));

        const bool whole = mode_ == DirectIo::kOn;
        const uint64_t offset = whole ? 4096 : 4196;
        const uint64_t length = whole ? 4096 : 1000;
        fillPattern(memory.data(), offset, length, 50 + i);
        const IoRequest write{IoOp::kWrite, memory.data(), offset, length,
                              recorder->context(i + 1)};
        pool_->submit(device, &write, 1);
        ASSERT_TRUE(recorder->waitFor(i + 2));
        ASSERT_EQ(pread(other.get(), remote.data(), 8192, 0), 8192);
        ASSERT_TRUE(isPattern(remote.data(), 0, offset, 20 + i));
        ASSERT_TRUE(isPattern(remote.data() + offset, offset, length, 50 + i));
        ASSERT_TRUE(isPattern(remote.data() + offset + length, offset + length,
                              8192 - offset - length, 20 + i));
    }
    munmap(mapping, 8192);
}

// Case 40.
TEST_P(PoolModes, DestructionDrains) {
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

TEST_P(PoolModes, ClosedDeviceRefuses) {
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = add(recorder);
    pool_->closeDevice(device);
    pool_->closeDevice(device);
    Memory memory(4096);
    const IoRequest request{IoOp::kRead, memory.data(), 0, 4096, recorder->context(0)};
    pool_->submit(device, &request, 1);
    ASSERT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), ECANCELED);
}

// A listener that goes on submitting: what a window of requests does.
class Chain : public IoListener {
 public:
    Chain(IoPool& pool, size_t requests, uint64_t step)
        : pool_(pool), left_(requests), step_(step), memory_(8 * step) {}

    void onIoDone(void* context, int error, uint64_t bytes) noexcept override {
        if (error != 0 || bytes != step_) ++failures;
        next(reinterpret_cast<size_t>(context));
    }
    void next(size_t slot) {
        const size_t number = left_.fetch_sub(1);
        if (number == 0 || number > SIZE_MAX / 2) {
            left_ = 0;
            if (running_.fetch_sub(1) == 1) {
                std::lock_guard lock(mutex_);
                ended_ = true;
                changed_.notify_all();
            }
            return;
        }
        const IoRequest request{IoOp::kRead, memory_.data() + slot * step_, number % 1000 * step_,
                                step_, reinterpret_cast<void*>(slot)};
        pool_.submit(device, &request, 1);
    }
    bool run() {
        for (size_t slot = 0; slot < 8; ++slot) next(slot);
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(60), [this] { return ended_; });
    }

    std::shared_ptr<IoDevice> device;
    std::atomic<int> failures{0};

 private:
    IoPool& pool_;
    std::atomic<size_t> left_;
    const uint64_t step_;
    Memory memory_;
    std::atomic<int> running_{8};
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
};

TEST_P(PoolModes, ListenerMaySubmit) {
    auto chain = std::make_shared<Chain>(*pool_, 5000, 4096);
    chain->device = add(chain);
    EXPECT_TRUE(chain->run());
    EXPECT_EQ(chain->failures, 0);
    pool_.reset();
    chain->device.reset();
}

const auto kAllModes = ::testing::Values(DirectIo::kOn, DirectIo::kOff, DirectIo::kAuto);
const auto kUnaligned = ::testing::Values(DirectIo::kOff, DirectIo::kAuto);
const auto kEverywhere = ::testing::Values(On::kFile, On::kLoop512, On::kLoop4096);
const auto kFile = ::testing::Values(On::kFile);

INSTANTIATE_TEST_SUITE_P(All, PoolModes,
                         ::testing::Combine(kAllModes, kEverywhere, ::testing::Values(8U)), name);
INSTANTIATE_TEST_SUITE_P(One, PoolModes,
                         ::testing::Combine(kAllModes, kFile, ::testing::Values(1U)), name);
INSTANTIATE_TEST_SUITE_P(All, FileModes,
                         ::testing::Combine(kAllModes, kFile, ::testing::Values(8U)), name);
INSTANTIATE_TEST_SUITE_P(All, UnalignedModes,
                         ::testing::Combine(kUnaligned, kEverywhere, ::testing::Values(8U)), name);

// The smallest pool of bounce buffers there is: requests wait, nothing fails, nothing is stuck.
class ScarcePool : public PoolModes {
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
        ASSERT_TRUE(recorders[d]->waitForAll());
        for (size_t i = 0; i < kEach; ++i) {
            ASSERT_EQ(recorders[d]->error(i), 0);
            ASSERT_TRUE(
                isPattern(memory.data() + (d * kEach + i) * 3000, 777 + i * 5000, 3000, 31));
        }
    }
    EXPECT_TRUE(memory.guardsIntact());
}

INSTANTIATE_TEST_SUITE_P(All, ScarcePool,
                         ::testing::Combine(kUnaligned, kFile, ::testing::Values(8U)), name);

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
