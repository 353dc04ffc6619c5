// SPDX-License-Identifier: Apache-2.0
#include "parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <vector>

namespace mooncake::nvmeof_generic {
namespace {

TEST(Parallel, CallsEachOnce) {
    for (const size_t count : {0, 1, 2, 1000}) {
        std::vector<std::atomic<int>> calls(count);
        forEachInParallel(count, 8, [&](size_t i) { ++calls[i]; });
        for (const auto& n : calls) EXPECT_EQ(n, 1);
    }
}

TEST(Parallel, RunsSeveralAtATime) {
    std::barrier together(4);  // returns only if four calls are under way
    forEachInParallel(4, 4, [&](size_t) { together.arrive_and_wait(); });
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
