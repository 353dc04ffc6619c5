// SPDX-License-Identifier: Apache-2.0
// Many threads at the pool at once, and none when there is nothing to do.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "io_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint64_t kSize = 4 << 20;

std::unique_ptr<IoPool> makePool(IoOptions options = {}) {
    auto made = IoPool::create(options);
    if (!made.ok()) throw std::runtime_error(made.error().message);
    return made.take();
}

// Case 44: devices come and go while several threads submit.
TEST(PoolThreads, ConcurrentAddSubmitAndClose) {
    constexpr size_t kThreads = 4;
    constexpr size_t kRounds = 25;
    constexpr size_t kEach = 40;
    IoOptions options;
    options.bounceBytes = 1 << 20;
    options.queueDepth = 8;
    auto pool = makePool(options);
    TempFile file(kSize);
    file.write(0, pattern(0, kSize, 1));

    struct Shared {
        std::mutex mutex;
        std::shared_ptr<IoDevice> device;
        std::shared_ptr<Recorder> recorder;
    };
    std::atomic<size_t> failures{0};
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937_64 random(t);
            for (size_t round = 0; round < kRounds; ++round) {
                auto recorder = std::make_shared<Recorder>(2 * kEach);
                auto device = addFile(*pool, file, recorder);
                Memory memory(2 * kEach * 5000);
                // A helper submits to the same device while this thread may already close it.
                const auto submitHalf = [&](size_t from) {
                    for (size_t i = from; i < from + kEach; ++i) {
                        const uint64_t offset = (i * 7919 + t) % 800 * 5000;
                        const IoRequest request{IoOp::kRead, memory.data() + i * 5000, offset, 5000,
                                                recorder->context(i)};
                        pool->submit(device, &request, 1);
                    }
                };
                std::thread helper([&] { submitHalf(kEach); });
                submitHalf(0);
                if (random() % 2 == 0) pool->closeDevice(device);
                helper.join();
                if (!recorder->waitForAll() || !recorder->eachOnce()) ++failures;
                for (size_t i = 0; i < 2 * kEach; ++i) {
                    const int error = recorder->error(i);
                    const uint64_t offset = (i * 7919 + t) % 800 * 5000;
                    if (error != 0 && error != ECANCELED) ++failures;
                    if (error == 0 && !isPattern(memory.data() + i * 5000, offset, 5000, 1)) {
                        ++failures;
                    }
                }
                pool->closeDevice(device);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures, 0U);
}

std::set<std::string> threads() {
    std::set<std::string> names;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        names.insert(task.path().filename());
    }
    return names;
}

/// What the threads of this process, save for some, have done so far: how often they have given
/// their processor away, and how long they have had one.
std::string activityOfOthers(const std::set<std::string>& some) {
    std::string activity;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        if (some.contains(task.path().filename())) continue;
        std::ifstream status(task.path() / "status");
        for (std::string line; std::getline(status, line);) {
            if (line.find("ctxt_switches") != std::string::npos) activity += line + '\n';
        }
        std::ifstream times(task.path() / "schedstat");
        std::string line;
        std::getline(times, line);
        activity += line + '\n';
    }
    return activity;
}

TEST(PoolThreads, NothingRunsWhenThereIsNothingToDo) {
    IoOptions options;
    options.spin = std::chrono::microseconds(1000);
    // With the first thread ThreadSanitizer starts one of its own, which wakes up ten times a
    // second.
    std::thread([] {}).join();
    const std::set<std::string> before = threads();
    auto pool = makePool(options);
    EXPECT_EQ(threads(), before) << "a thread runs before there is a device";

    TempFile file(kSize);
    std::vector<std::shared_ptr<IoDevice>> devices;
    constexpr size_t kCount = 200;
    Memory memory(kCount * 4096);
    for (int d = 0; d < 4; ++d) {
        auto recorder = std::make_shared<Recorder>(kCount);
        devices.push_back(addFile(*pool, file, recorder));
        std::vector<IoRequest> requests;
        for (size_t i = 0; i < kCount; ++i) {
            requests.push_back(
                {IoOp::kRead, memory.data() + i * 4096, i * 8192, 4096, recorder->context(i)});
        }
        pool->submit(devices.back(), requests.data(), kCount);
        ASSERT_TRUE(recorder->waitForAll());
    }
    // With the devices open, the threads come to rest: between two looks nothing has moved. A
    // thread that polls, however rarely, never lets that happen.
    std::string last;
    std::string now = activityOfOthers(before);
    EXPECT_NE(now, "");
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    do {
        ASSERT_LT(std::chrono::steady_clock::now(), limit) << now;
        std::this_thread::sleep_for(std::chrono::milliseconds(700));
        last = now;
        now = activityOfOthers(before);
    } while (now != last);

    // And they wake up again.
    auto recorder = std::make_shared<Recorder>(1);
    const auto device = addFile(*pool, file, recorder);
    const IoRequest request{IoOp::kRead, memory.data(), 0, 4096, recorder->context(0)};
    pool->submit(device, &request, 1);
    EXPECT_TRUE(recorder->waitForAll());
    EXPECT_EQ(recorder->error(0), 0);
}

TEST(PoolThreads, PoolWithoutDevices) {
    makePool().reset();
}

TEST(PoolThreads, RefusesBadDevices) {
    auto pool = makePool();
    TempFile file(kSize);
    auto recorder = std::make_shared<Recorder>(1);
    const auto refused = [&](const char* what, int flags, uint64_t size, uint32_t blockSize,
                             std::shared_ptr<IoListener> listener) {
        UniqueFd fd(open(file.path().c_str(), flags | O_CLOEXEC));
        auto added =
            pool->addDevice({std::move(fd), "the device", size, blockSize, std::move(listener)});
        EXPECT_FALSE(added.ok()) << what;
        if (added.ok()) return;
        EXPECT_EQ(added.error().code, EINVAL) << what;
        EXPECT_NE(added.error().message.find("the device"), std::string::npos);
    };
    const int good = O_RDWR | pool->openFlags();
    refused("size 0", good, 0, 4096, recorder);
    refused("ragged size", good, 5000, 4096, recorder);
    refused("block size 0", good, kSize, 0, recorder);
    refused("small block", good, kSize, 256, recorder);
    refused("large block", good, kSize, 128 << 10, recorder);
    refused("odd block", good, kSize, 4097, recorder);
    refused("no listener", good, kSize, 4096, nullptr);
    refused("write-only", O_WRONLY | pool->openFlags(), kSize, 4096, recorder);
    refused("not direct", O_RDWR, kSize, 4096, recorder);
}

// Case 50, for the options of this part.
TEST(PoolThreads, RefusesBadOptions) {
    const auto refused = [](const char* name, auto change) {
        IoOptions options;
        change(options);
        auto made = IoPool::create(options);
        EXPECT_FALSE(made.ok()) << name;
        if (made.ok()) return;
        EXPECT_EQ(made.error().code, EINVAL);
        EXPECT_NE(made.error().message.find(name), std::string::npos) << made.error().message;
    };
    refused("numWorkers", [](IoOptions& o) { o.numWorkers = 0; });
    refused("numWorkers", [](IoOptions& o) { o.numWorkers = 257; });
    refused("queueDepth", [](IoOptions& o) { o.queueDepth = 0; });
    refused("queueDepth", [](IoOptions& o) { o.queueDepth = 1025; });
    refused("maxIoBytes", [](IoOptions& o) { o.maxIoBytes = 2048; });
    refused("maxIoBytes", [](IoOptions& o) { o.maxIoBytes = 32 << 20; });
    refused("maxIoBytes", [](IoOptions& o) { o.maxIoBytes = 12288; });
    refused("spin", [](IoOptions& o) { o.spin = std::chrono::microseconds(1001); });
    refused("spin", [](IoOptions& o) { o.spin = std::chrono::microseconds(-1); });
    refused("bounceBytes", [](IoOptions& o) { o.bounceBytes = 0; });
    refused("bounceBytes", [](IoOptions& o) { o.bounceBytes = (64ULL << 30) + 1; });
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
