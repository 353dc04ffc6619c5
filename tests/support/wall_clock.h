// SPDX-License-Identifier: Apache-2.0
// The wall clock of this program, as somebody sets it who does not care. Monotonic clocks go on.
#pragma once

#include <chrono>

namespace test_support {

/// How far the wall clock is from the machine's. Of the whole program, from now on.
void setWallClock(std::chrono::seconds off);

/// Each look at the wall clock finds it that far ahead, or that far behind, in turn; 0: no more.
void shakeWallClock(std::chrono::seconds off);

}  // namespace test_support
