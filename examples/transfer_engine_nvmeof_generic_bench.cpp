// SPDX-License-Identifier: Apache-2.0
// Throughput of file segments over NVMe-oF: as target, as initiator, or as both in one process.
#include <signal.h>

#include <glog/logging.h>

#include <cstdio>
#include <exception>

#include "bench/flags.h"
#include "bench/modes.h"

namespace {

using namespace mooncake::bench;

MaybeFailure run(int argc, char** argv) {
    FlagValues flags;
    if (auto failure = parseCommandLine(argc, argv, flags)) return failure;
    Options options;
    if (auto failure = checkFlags(flags, options)) return failure;
    google::InitGoogleLogging(argv[0]);
    SignalWatch signals;
    return runMode(options, signals);
}

int report(const Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.message.c_str());
    return static_cast<int>(failure.code);
}

}  // namespace

int main(int argc, char** argv) {
    // A reader of the output that goes is an error of writing; and the transport need not guard
    // each submit (common/signals.h).
    signal(SIGPIPE, SIG_IGN);
    FLAGS_logtostderr = true;  // the default; --nologtostderr logs to files
    try {
        const MaybeFailure failure = run(argc, argv);
        if (failure) return report(*failure);
        if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) {
            return static_cast<int>(ExitCode::kOk);
        }
        return report({ExitCode::kIoError, "cannot write to standard output"});
    } catch (const std::exception& error) {
        return report({ExitCode::kIoError, error.what()});
    }
}
