// SPDX-License-Identifier: Apache-2.0
// What the bench prints of its figures: lines for people, JSON or CSV for programs.
#pragma once

#include <string>
#include <vector>

#include "bench/options.h"
#include "bench/workload.h"

namespace mooncake::bench {

/// Prints runs in the format that was asked for. One thread only.
class FiguresReport {
 public:
    /// @param options, files  must outlive the report
    FiguresReport(const Options& options, const std::vector<WorkFile>& files)
        : options_(options), files_(files) {}

    /// @return what is to be printed when a run has ended; may be empty
    std::string add(const RunResult& run);

    /// @return what is to be printed when all runs have ended; may be empty
    std::string end() const;

 private:
    std::string details(const RunResult& run) const;
    std::string tableRow(const RunResult& run) const;
    std::string csvRows(const RunResult& run) const;
    std::string json() const;

    const Options& options_;
    const std::vector<WorkFile>& files_;
    std::vector<RunResult> runs_;
};

}  // namespace mooncake::bench
