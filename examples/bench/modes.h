// SPDX-License-Identifier: Apache-2.0
// What the program does in each mode, from start to exit status.
#pragma once

#include "bench/failure.h"
#include "bench/options.h"
#include "bench/signal_watch.h"

namespace mooncake::bench {

/// Registers options.files and serves them until a signal comes.
MaybeFailure runTarget(const Options& options, SignalWatch& signals);

/// Runs the operation on the files of options.segmentId and prints the figures.
MaybeFailure runInitiator(const Options& options, SignalWatch& signals);

/// Both in one process and through one engine: the node reads and writes its own segment.
MaybeFailure runLoopback(const Options& options, SignalWatch& signals);

/// Whichever options.mode names.
MaybeFailure runMode(const Options& options, SignalWatch& signals);

}  // namespace mooncake::bench
