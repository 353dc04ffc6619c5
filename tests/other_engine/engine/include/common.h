// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <glog/logging.h>

#include <iomanip>
#include <iostream>
#include <thread>

#include "error.h"

// A program's own macros, which headers that come after them have to bear.
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

namespace mooncake {

const static int LOCAL_SEGMENT_ID = 0;

class RWSpinlock {
 public:
    RWSpinlock() {}
    RWSpinlock(RWSpinlock const&) = delete;
    RWSpinlock& operator=(RWSpinlock const&) = delete;

 private:
    volatile uint64_t ticket_ = 0;
};

}  // namespace mooncake
