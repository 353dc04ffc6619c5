// SPDX-License-Identifier: Apache-2.0
// What the threads of a pool do when there is no memory for what they would like to have. A program
// of its own, since it has a say in who gets memory.
#include <pthread.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>

#include "pool_fixture.h"

namespace {

std::atomic<bool> monitorGetsNone{false};
std::atomic<int> refusals{0};

bool isMonitor() {
    char name[16] = {};
    pthread_getname_np(pthread_self(), name, sizeof(name));
    return std::string_view(name) == "nvmeof-io-mon";
}

}  // namespace

void* operator new(size_t size) {
    if (monitorGetsNone && isMonitor()) {
        ++refusals;
        throw std::bad_alloc();
    }
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    try {
        return operator new(size);
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
    std::free(memory);
}

namespace mooncake::nvmeof_generic::io {
namespace {

using MonitorWithoutMemory = PoolFaults;

// The only worker is stuck, and there is no memory for another one; there is later.
TEST_F(MonitorWithoutMemory, BringsAWorkerInWhenThereIsSome) {
    std::atomic<int> stuckFd{-1};
    std::atomic<bool> stuck{false};
    aio_->onSubmit = [&](const std::vector<FakeAio::Io>& asked) {
        if (asked.front().fd == stuckFd && !stuck.exchange(true)) gate_.pass();
        return static_cast<int>(asked.size());
    };
    make();
    TempFile other(kSize);
    auto blocked = std::make_shared<Recorder>(1);
    auto healthy = std::make_shared<Recorder>(1);
    int fd = -1;
    const auto stuckDevice = add(other, blocked, &fd);
    stuckFd = fd;
    const auto device = add(file_, healthy);
    Memory memory(2 * kBlock);
    Memory more(kBlock);
    monitorGetsNone = true;
    readBlocks(stuckDevice, *blocked, memory, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return stuck.load(); }));
    readBlocks(device, *healthy, more, 1);
    ASSERT_TRUE(aio_->waitUntil([] { return refusals > 2; }));
    EXPECT_EQ(healthy->endedCount(), 0U);
    monitorGetsNone = false;
    EXPECT_TRUE(healthy->waitForAll());
    gate_.open();
    EXPECT_TRUE(blocked->waitForAll());
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
