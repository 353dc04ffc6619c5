// SPDX-License-Identifier: Apache-2.0
// What a pool's threads, and those that submit, do when there is no memory for what they would like
// to have. A program of its own, since it has a say in who gets memory.
#include <atomic>
#include <cerrno>
#include <optional>

#include "channel.h"
#include "memory_limit.h"
#include "pool_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

using PoolWithoutMemory = PoolFaults;

// The only worker is stuck, and there is no memory for another one; there is later.
TEST_F(PoolWithoutMemory, BringsAWorkerInWhenThereIsSome) {
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
    std::optional<test_support::NoMemoryFor> none("nvmeof-io-mon");
    readBlocks(stuckDevice, *blocked, memory, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return stuck.load(); }));
    readBlocks(device, *healthy, more, 1);
    ASSERT_TRUE(aio_->waitUntil([&] { return none->refusals() > 2; }));
    EXPECT_EQ(healthy->endedCount(), 0U);
    none.reset();
    EXPECT_TRUE(healthy->waitForAll());
    gate_.open();
    EXPECT_TRUE(blocked->waitForAll());
}

// Nor has the kernel any for a thread's context: a worker does its I/O then.
TEST(ChannelWithoutMemory, IsRefused) {
    FakeAio aio;
    aio.onSetup = [](unsigned) { return -ENOMEM; };
    Channel channel(0, false);
    bool opened = true;
    test_support::withMemoryFor(0, [&] { opened = channel.open(aio, 8); });
    EXPECT_FALSE(opened);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
