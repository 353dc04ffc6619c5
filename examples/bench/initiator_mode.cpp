// SPDX-License-Identifier: Apache-2.0
#include "bench/modes.h"
#include "bench/node.h"
#include "bench/segment_run.h"

namespace mooncake::bench {

MaybeFailure runInitiator(const Options& options, SignalWatch& signals) {
    std::unique_ptr<Node> node;
    if (auto failure = Node::start(options, Role::kInitiator, node)) return failure;
    return runOnSegment(*node, options.segmentId, options, signals);
}

MaybeFailure runMode(const Options& options, SignalWatch& signals) {
    switch (options.mode) {
        case Mode::kTarget:
            return runTarget(options, signals);
        case Mode::kInitiator:
            return runInitiator(options, signals);
        case Mode::kLoopback:
            return runLoopback(options, signals);
    }
    return Failure{ExitCode::kUsage, "unknown mode"};
}

}  // namespace mooncake::bench
