// SPDX-License-Identifier: Apache-2.0
// A program that forks while its threads come, do I/O and go.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <thread>
#include <vector>

#include "forked_child.h"
#include "io_fixture.h"

namespace mooncake::nvmeof_generic::io {
namespace {

constexpr uint64_t kSize = 1 << 20;
constexpr int kRounds = 60;
constexpr size_t kThreads = 16;

// As exit() ends a child: the objects of the thread are destroyed. What comes after that is left
// out: a tool that looks for leaks finds there what threads of the parent still have on their
// stacks.
int exitAsThread(const ForkedChild::Say&) {
    std::atexit([] { _exit(0); });
    std::exit(1);
}

TEST(PoolFork, AChildEndsWhateverTheParentsThreadsDo) {
    const TempFile file(kSize);
    for (int round = 0; round < kRounds && !HasFailure(); ++round) {
        auto made = IoPool::create({});
        ASSERT_TRUE(made.ok()) << made.error().message;
        const std::unique_ptr<IoPool> pool = made.take();
        auto recorder = std::make_shared<Recorder>(kThreads + 1);
        const auto device = addFile(*pool, file, recorder);
        Memory memory((kThreads + 1) * 4096);
        const auto readOne = [&](size_t place) {
            const IoRequest request{IoOp::kRead, memory.data() + place * 4096, place * 4096, 4096,
                                    recorder->context(place)};
            pool->submit(device, &request, 1);
        };
        // This thread, too, has a channel that it gives back at its end.
        readOne(0);
        // They get theirs just now.
        std::vector<std::thread> threads;
        for (size_t i = 1; i <= kThreads; ++i) threads.emplace_back(readOne, i);
        EXPECT_EQ(ForkedChild(exitAsThread).wait(), 0) << "round " << round;
        for (std::thread& thread : threads) thread.join();
        EXPECT_TRUE(recorder->waitForAll());
    }
}

}  // namespace
}  // namespace mooncake::nvmeof_generic::io
