// SPDX-License-Identifier: Apache-2.0
#include "bench/report.h"

#include "bench/block_pattern.h"
#include "bench/plain_format.h"

namespace mooncake::bench {
namespace {

std::string joinLines(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += "\n  " + line;
    return text;
}

// A read of files that nobody prepared is a mistake in use, not broken data.
bool nothingWritten(const RunResult& run) {
    return run.tally.good == 0 && run.tally.wrong == 0;
}

}  // namespace

std::string summaryLine(const RunResult& run, const Options& options) {
    const bool good = !judge(run, options).has_value();
    return std::string(good ? "Test completed" : "Test failed") + ": duration " +
           plainFormat("%.2f", run.seconds) + ", batch count " + std::to_string(run.batches) +
           ", throughput " +
           formatThroughput(run.completedBytes, run.seconds, options.reportUnit,
                            options.reportPrecision);
}

std::string verifyLine(const RunResult& run, const Options& options) {
    const VerifyTally& tally = run.tally;
    if (!options.verify || tally.good + tally.zero + tally.foreign + tally.wrong == 0) return "";
    std::string line = "Verification: " + std::to_string(run.tally.good) + " blocks of " +
                       std::to_string(kPatternBlock) + " bytes as written, " +
                       std::to_string(run.mismatches) + " not";
    if (run.tally.zero > 0) {
        line += ", " + std::to_string(run.tally.zero) + " never written";
    }
    return line;
}

MaybeFailure judge(const RunResult& run, const Options& options) {
    const bool reading = !writes(options.operation);
    if (options.verify && reading && run.verified && nothingWritten(run)) {
        return Failure{ExitCode::kVerification,
                       "nothing to verify: not one of the " +
                           std::to_string(run.tally.zero + run.tally.foreign) +
                           " blocks read carries the bench's pattern; write first with "
                           "--operation=write --verify"};
    }
    if (run.mismatches > 0) {
        return Failure{ExitCode::kVerification,
                       std::to_string(run.mismatches) +
                           " blocks are not what was written:" + joinLines(run.mismatchLines)};
    }
    if (run.failed > 0) {
        return Failure{ExitCode::kIoError,
                       std::to_string(run.failed) + " requests did not complete:" +
                           joinLines(run.failures) + "\n  the engine's log above says why" +
                           (options.verify ? "; the verification is not complete" : "")};
    }
    if (options.verify && !run.verified) {
        return Failure{ExitCode::kIoError, "the verification was interrupted"};
    }
    return std::nullopt;
}

}  // namespace mooncake::bench
