// SPDX-License-Identifier: Apache-2.0
// Stands between a program and the kernel's asynchronous I/O (LD_PRELOAD): takes the place of
// libaio's functions, whoever calls them.
//
// AIO_SHIM says what it does:
//   count      (default) passes everything on
//   delay=N    passes I/O on N microseconds later, from a thread of its own: a device that takes
//              that long, with the kernel's own completions, ring and ways of waiting
//   rate=N     the same, of a device that moves N MB a second, one request after the other
//   instant    ends all I/O at once, moves nothing, and leaves the kernel out: what remains is the
//              program's own time
// AIO_SHIM_HOLD=path  with all but "instant": I/O on that file is passed on only after
//              aioShimRelease(): a device that hangs
//
// A program that is run under it finds the functions below with dlsym().
#pragma once

#include <cstdint>

extern "C" {

/// Since the program's start.
struct AioShimCounts {
    uint64_t calls;       // of io_submit with I/O in them, not those that only wake a thread
    uint64_t operations;  // of I/O in them
    double cpuSeconds;    // processor time of the shim's own threads
    uint64_t switches;    // and how often these went to sleep
};

AioShimCounts aioShimCounts();

/// Passes on what is held, and holds nothing from now on.
void aioShimRelease();
}
