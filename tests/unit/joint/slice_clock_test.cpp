// SPDX-License-Identifier: Apache-2.0
#include "slice_clock.h"

#include <gtest/gtest.h>

#include <chrono>

namespace mooncake::nvmeof_generic {
namespace {

TEST(SliceClock, IsBelowZeroAndTellsWhatHasPassed) {
    const auto before = std::chrono::steady_clock::now();
    const int64_t posted = sliceClock();
    EXPECT_LT(posted, 0) << "Mooncake's engine would take it for the time of day";
    const auto posting = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - posting < std::chrono::milliseconds(2)) {
    }
    const uint64_t passed = nanosecondsSince(posted);
    EXPECT_GE(passed, 2000000u);
    EXPECT_LE(passed, static_cast<uint64_t>((std::chrono::steady_clock::now() - before).count()));
}

}  // namespace
}  // namespace mooncake::nvmeof_generic
