// SPDX-License-Identifier: Apache-2.0
// What is said of an engine in a forked child of the process that initialised it.
#pragma once

#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "transport/nvmeof_generic_transport/common/this_process.h"

namespace mooncake {

inline constexpr char kInheritedEngine[] =
    "the engine belongs to the process that this one was forked off; a forked child makes an "
    "engine of its own";

// To standard error, past the log, whose lock a thread of the parent may have held; once in each
// process.
inline void sayInherited(const char* what_not) {
    static std::atomic<uint64_t> said{0};
    const uint64_t here = nvmeof_generic::thisProcess();
    if (said.exchange(here) == here) return;
    dprintf(STDERR_FILENO, "transfer engine, process %d: %s: %s\n", getpid(), what_not,
            kInheritedEngine);
}

}  // namespace mooncake
