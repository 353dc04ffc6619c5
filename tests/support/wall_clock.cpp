// SPDX-License-Identifier: Apache-2.0
// Linked into a program, these stand before those of the C library, for all libraries in it.
#include "wall_clock.h"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {

std::atomic<time_t> offset{0};
std::atomic<time_t> swing{0};
std::atomic<unsigned> looks{0};

time_t now() {
    const time_t shaken = swing.load();
    return offset.load() + (looks.fetch_add(1) % 2 == 0 ? shaken : -shaken);
}

int realTime(clockid_t clock, timespec* time) {
    const auto outcome = static_cast<int>(syscall(SYS_clock_gettime, clock, time));
    const bool is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
    if (outcome == 0 && is_wall) time->tv_sec += now();
    return outcome;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept {
    return realTime(clock, time);
}

int gettimeofday(timeval* __restrict time, void* __restrict) noexcept {
    timespec precise = {};
    realTime(CLOCK_REALTIME, &precise);
    time->tv_sec = precise.tv_sec;
    time->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t* into) noexcept {
    timespec precise = {};
    realTime(CLOCK_REALTIME, &precise);
    if (into != nullptr) *into = precise.tv_sec;
    return precise.tv_sec;
}

}  // extern "C"

namespace test_support {

void setWallClock(std::chrono::seconds off) {
    offset = off.count();
}

void shakeWallClock(std::chrono::seconds off) {
    swing = off.count();
}

}  // namespace test_support
