// SPDX-License-Identifier: Apache-2.0
#include "transport/nvmeof_generic_transport/common/thread_number.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <set>
#include <thread>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

std::vector<uint32_t> numbersOfThreads(int count) {
    std::vector<uint32_t> numbers(static_cast<size_t>(count));
    std::barrier all(count);
    std::vector<std::thread> threads;
    for (uint32_t& number : numbers) {
        threads.emplace_back([&] {
            number = threadNumber();
            all.arrive_and_wait();
            EXPECT_EQ(threadNumber(), number);
        });
    }
    for (auto& thread : threads) thread.join();
    return numbers;
}

TEST(ThreadNumber, NoTwoThreadsHaveTheSame) {
    const uint32_t own = threadNumber();
    auto numbers = numbersOfThreads(50);
    numbers.push_back(own);
    EXPECT_EQ(std::set<uint32_t>(numbers.begin(), numbers.end()).size(), 51u);
}

// Thread churn must not use them up.
TEST(ThreadNumber, AThreadsNumberGoesToTheNext) {
    uint32_t highest = 0;
    for (int round = 0; round < 20; ++round) {
        const auto numbers = numbersOfThreads(10);
        highest = std::max(highest, *std::max_element(numbers.begin(), numbers.end()));
    }
    EXPECT_LT(highest, 64u);
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
