// SPDX-License-Identifier: Apache-2.0
#include "boot_clock.h"

#include <time.h>

#include <fstream>
#include <string>

namespace mooncake::store {

namespace {

// time_namespaces(7): what this namespace adds to the machine's own clock. A process that is in a
// namespace stays there once it has threads.
std::chrono::nanoseconds readOffset() {
    std::ifstream file("/proc/self/timens_offsets");
    std::string clock;
    long long seconds = 0, nanoseconds = 0;
    while (file >> clock >> seconds >> nanoseconds) {
        if (clock == "boottime" || clock == "7") {
            return std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds);
        }
    }
    return std::chrono::nanoseconds(0);
}

}  // namespace

BootClock::time_point BootClock::now() {
    static const std::chrono::nanoseconds offset = readOffset();
    timespec now = {};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return time_point(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec) -
                      offset);
}

}  // namespace mooncake::store
