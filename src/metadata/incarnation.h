// SPDX-License-Identifier: Apache-2.0
// The names by which publishing processes tell each other apart: no clock, and no address, can.
#pragma once

#include <string>

namespace mooncake {

// A new one for this process: 32 random hexadecimal digits, then "@" and where it runs: boot id of
// the kernel, PID and time namespace, process id, and the process's start in ticks since the boot,
// apart by colons. The second part is missing where /proc does not tell. Thread-safe.
std::string newIncarnation();

// Whether the process that made `incarnation` has ended for certain: it ran under this boot of this
// kernel, in this PID namespace, and runs no more. False for all others, of which nothing is known.
bool hasEnded(const std::string& incarnation);

// For a log line: the first digits, and the process id where there is one.
std::string shortIncarnation(const std::string& incarnation);

}  // namespace mooncake
