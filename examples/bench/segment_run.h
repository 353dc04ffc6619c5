// SPDX-License-Identifier: Apache-2.0
// A workload on the files of one segment.
#pragma once

#include <string>

#include "bench/failure.h"
#include "bench/node.h"
#include "bench/options.h"
#include "bench/signal_watch.h"

namespace mooncake::bench {

/// Opens the segment, runs the operation on all its files and prints the figures on stdout.
/// @return kUsage (flags that do not fit the files), kIoError, kVerification
MaybeFailure runOnSegment(Node& node, const std::string& segmentName, const Options& options,
                          SignalWatch& signals);

}  // namespace mooncake::bench
