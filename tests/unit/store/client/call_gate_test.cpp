// SPDX-License-Identifier: Apache-2.0
#include "call_gate.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

namespace mooncake::store {
namespace {

TEST(CallGateTest, ClosingWaitsForThoseWhoAreIn) {
    CallGate gate;
    std::optional<CallGate::Pass> first(gate.enter());
    std::optional<CallGate::Pass> second(gate.enter());
    EXPECT_TRUE(*first && *second);
    auto closed = std::async(std::launch::async, [&] { gate.close(); });
    while (!gate.isClosed()) std::this_thread::yield();
    EXPECT_FALSE(gate.enter());
    first.reset();
    EXPECT_FALSE(gate.enter());
    EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
    second.reset();
    closed.get();
    EXPECT_FALSE(gate.enter());
    gate.close();
}

TEST(CallGateTest, ManyThreads) {
    CallGate gate;
    std::atomic<int> inside{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (;;) {
                const auto pass = gate.enter();
                if (!pass) return;
                ++inside;
                --inside;
            }
        });
    }
    std::this_thread::yield();
    gate.close();
    EXPECT_EQ(inside, 0);
    for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace mooncake::store
