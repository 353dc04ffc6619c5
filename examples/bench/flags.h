// SPDX-License-Identifier: Apache-2.0
// The command line.
#pragma once

#include "bench/options.h"

namespace mooncake::bench {

/// Parses the command line. Prints the flags and exits with 0 for --help; gflags prints what is
/// wrong and exits with 1 for an unknown flag or a value of the wrong type.
/// @return ExitCode::kUsage for an argument that is not a flag
MaybeFailure parseCommandLine(int& argc, char**& argv, FlagValues& values);

}  // namespace mooncake::bench
