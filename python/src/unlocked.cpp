// SPDX-License-Identifier: Apache-2.0
#include "unlocked.h"

#include <chrono>
#include <thread>

namespace mooncake::python {

void Unlocked::awaitAll() {
    while (threads_ > 0) {
        Py_BEGIN_ALLOW_THREADS;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        Py_END_ALLOW_THREADS;
    }
}

}  // namespace mooncake::python
