// SPDX-License-Identifier: Apache-2.0
// What the bench prints, and what its exit status is.
#pragma once

#include <string>

#include "bench/options.h"
#include "bench/workload.h"

namespace mooncake::bench {

/// The line that users know: "Test completed: duration 30.01, batch count 12, throughput 1.23
/// GB/s". A run that failed says "Test failed" instead.
std::string summaryLine(const RunResult& run, const Options& options);

/// What verification found, in one line; empty where nothing was checked.
std::string verifyLine(const RunResult& run, const Options& options);

/// How the run ended: nothing, or what went wrong with every detail that is known. A block that is
/// wrong weighs more than a request that failed.
MaybeFailure judge(const RunResult& run, const Options& options);

}  // namespace mooncake::bench
